import type { TabletAlias } from './alias.ts'
import type { BackupName } from './backup-name.ts'
import type { ErrorType } from './errors.ts'
import type { ShardName } from './shard-name.ts'
import type { ReplicaType, ServiceType } from './tablet-type.ts'

/** Kinds of workflow over a tablet; also the names under which Temporal knows them. */
export type RunKind = 'backup' | 'restore' | 'bootstrap'

/** All kinds of workflow that people watch: a verification needs no tablet. */
export type WorkflowKind = RunKind | 'verifyBackup'

/** The queue of workflows and of activities that need only storage. */
export const CONTROL_QUEUE = 'tabletkeeper'

/** The queue that the agent of `alias` polls. */
export function agentQueue(alias: TabletAlias): string {
  return `${CONTROL_QUEUE}.${alias}`
}

/** Which tablet a run is about. */
export interface RunSubject {
  readonly shard: ShardName
  readonly tablet: TabletAlias
}

/** What every run is told. Plain JSON, so that `temporal workflow start` and schedules can give it. */
export interface RunInput extends RunSubject {
  /** How long to wait for the tablet's agent before the run gives up with `NoAgent`; a duration such as `1m`, which is the default. */
  readonly agentTimeout?: string
}

/** Refusals of a backup that somebody may know better than. */
export const BACKUP_FORCES = ['memory-tables', 'min-serving'] as const

export type BackupForce = (typeof BACKUP_FORCES)[number]

/** Input of the workflow `backup`. */
export interface BackupInput extends RunInput {
  /** Files copied at once; default: the agent's configuration. */
  readonly concurrency?: number
  /**
   * Stop the tablet though it takes writes, where no other of its shard could be backed up: nobody can write while it is copied or, with a
   * snapshot, for seconds. Default: `backup.allowPrimary` of its host.
   */
  readonly allowPrimary?: boolean
  /** Go on where a backup is refused otherwise: the result warns of it. */
  readonly force?: readonly BackupForce[]
  /** Set by schedules: how often they run, to warn when binary logs are kept too short; a duration. */
  readonly interval?: string
}

/** Input of the workflow `restore`. At most one of `backup` and `before`. */
export interface RestoreInput extends RunInput {
  /** The name of the backup; default: the latest complete one. */
  readonly backup?: BackupName
  /** RFC 3339, with its zone: the latest complete backup that was taken before this time. */
  readonly before?: string
  readonly concurrency?: number
}

/** Input of the workflow `bootstrap`. */
export interface BootstrapInput extends RunInput {
  /** What the new tablet is for; default: its configuration. */
  readonly type?: ReplicaType
  readonly concurrency?: number
}

/** How the files of a backup are copied: from a clone that was made while mysqld was down for a moment, or while it is down. */
export type SnapshotMode = 'reflink' | 'none'

/** A page of InnoDB whose checksum is wrong on the tablet already: `file` is a path below its directory. */
export interface BadPage {
  readonly file: string
  readonly page: number
}

/** Who made the tablet serve again after a run. */
export type ReturnedBy = 'workflow' | 'reconciler' | 'person' | 'nobody'

/** A finding that does not fail a run but that somebody should read. */
export interface Warning {
  readonly about: string
  readonly message: string
  readonly hint?: string
}

export interface BackupResult {
  readonly backup: BackupName
  readonly shard: ShardName
  readonly tablet: TabletAlias
  /** `MySQL56/<gtid set>` */
  readonly position: string
  readonly files: number
  /** Plain bytes read from the tablet. */
  readonly dataBytes: number
  /** Bytes in storage. */
  readonly storedBytes: number
  readonly snapshot: SnapshotMode
  /** Damaged pages that were copied as they are: how many, and the first of them. */
  readonly badPages: number
  readonly firstBadPages: readonly BadPage[]
  readonly seconds: number
  /** From leaving service to serving again. */
  readonly outOfServiceSeconds: number
  readonly type: ServiceType
  readonly lagSeconds: number | null
  readonly warnings: readonly Warning[]
}

export interface RestoreResult {
  readonly shard: ShardName
  readonly tablet: TabletAlias
  /** The backup that was restored; null when the shard had none and the tablet started empty. */
  readonly backup: BackupName | null
  readonly position: string | null
  readonly dataBytes: number
  readonly seconds: number
  readonly outOfServiceSeconds: number
  readonly type: ServiceType
  readonly lagSeconds: number | null
  readonly warnings: readonly Warning[]
}

/** Names of steps, as the UI, `status` and the progress line show them. */
export const STEP_TITLES = {
  preflight: 'preflight',
  takeTablet: 'tablet taken',
  takeOutOfService: 'out of service',
  stopReplication: 'position',
  stopMysqld: 'mysqld stopped',
  cloneFiles: 'files cloned',
  copyFiles: 'files copied',
  startMysqld: 'mysqld started',
  rejoin: 'in service',
  uploadFiles: 'files copied',
  checkBackup: 'checked',
  publishBackup: 'published',
  dropClone: 'clone dropped',
  findBackup: 'backup found',
  downloadFiles: 'files restored',
  swapData: 'data swapped',
  confirmRestore: 'position proven',
  initializeTablet: 'initialized empty',
  dropReplaced: 'old data dropped',
  releaseTablet: 'released',
  verifyObjects: 'objects verified',
  returnToService: 'back in service',
  discardBackup: 'incomplete backup removed',
} as const

export type StepName = keyof typeof STEP_TITLES

/** The runbook's numbers of the six steps of a backup, so that talk about a run is precise. */
const BACKUP_NUMBERS: Partial<Record<StepName, number | string>> = {
  takeOutOfService: 1,
  stopReplication: 2,
  stopMysqld: 3,
  cloneFiles: 4,
  copyFiles: 4,
  startMysqld: 5,
  rejoin: 6,
  uploadFiles: '4b',
}

/** The title of a step in a run of that kind: `4 files copied`. */
export function stepTitle(step: StepName, kind: string): string {
  const number = kind === 'backup' ? BACKUP_NUMBERS[step] : undefined
  return number === undefined ? STEP_TITLES[step] : `${number} ${STEP_TITLES[step]}`
}

/** How far a step is: the heartbeat of a long activity, and what `status` shows. Counters only. */
export interface Progress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly filesDone: number
  readonly filesTotal: number
  readonly bytesPerSecond: number
  /** By the rate of the last seconds; null while that is unknown. */
  readonly secondsLeft: number | null
}

/** Answer of the query `progress`: what the run did, does, and waits for. */
export interface RunProgress {
  readonly kind: WorkflowKind
  readonly shard: ShardName
  /** Null for a verification. */
  readonly tablet: TabletAlias | null
  readonly backup: BackupName | null
  readonly done: readonly { readonly step: StepName; readonly seconds: number; readonly detail: string }[]
  readonly current: { readonly step: StepName; readonly since: string } | null
  readonly failure: {
    readonly type: ErrorType | 'Error'
    readonly message: string
    readonly step: StepName | null
  } | null
}

/** The memo that every run is started with, so that lists can name the tablet without asking the workflow. */
export const SUBJECT_MEMO = 'tabletkeeper'

/** Search attributes, all Keyword: registered by control where it may, set at start where they are registered. */
export const SEARCH_ATTRIBUTES = [
  'TabletkeeperKind',
  'TabletkeeperShard',
  'TabletkeeperTablet',
  'TabletkeeperBackup',
] as const
