import type { BackupName } from '../model/backup-name.ts'
import type { TabletReport } from '../model/report.ts'
import type {
  BackupForce,
  BackupInput,
  BadPage,
  BootstrapInput,
  RestoreInput,
  ReturnedBy,
  RunKind,
  SnapshotMode,
  Warning,
} from '../model/runs.ts'
import type { ShardName } from '../model/shard-name.ts'
import type { ReplicaType, ServiceType } from '../model/tablet-type.ts'
import type { Verification } from '../model/verification.ts'
import type { AgentRights } from '../storage/agent-rights.ts'
import type { Capabilities } from '../storage/capabilities.ts'
import type { Repository } from '../storage/object-store.ts'

export type { AgentRights }

/** How an activity proves that its run holds the tablet; the run id is Temporal's own word for who calls. */
export interface TokenInput {
  readonly token: string
}

/** What a tablet is taken for. */
export interface TakeInput {
  readonly kind: RunKind
  /** Of a backup. */
  readonly allowPrimary?: boolean | undefined
}

export interface BackupPlan {
  readonly type: ServiceType
  readonly lagSeconds: number
  readonly dataBytes: number
  readonly snapshot: SnapshotMode
  /** How many other tablets of the shard serve meanwhile. */
  readonly othersServing: number
  readonly warnings: readonly Warning[]
}

export type FoundBackup =
  | {
      readonly found: true
      readonly backup: BackupName
      readonly position: string
      readonly takenAt: string
      /** Newer backups that cannot be restored from. */
      readonly warnings: readonly Warning[]
    }
  | { readonly found: false }

export interface RestorePlan {
  readonly type: ServiceType
  readonly backup: BackupName | null
  readonly dataBytes: number
  readonly warnings: readonly Warning[]
}

export interface CopySummary {
  readonly files: number
  readonly dataBytes: number
  readonly storedBytes: number
  /** Pages that were damaged on the tablet already: how many, and the first of them. */
  readonly badPages: number
  readonly firstBadPages: readonly BadPage[]
}

export interface Rejoined {
  readonly type: ServiceType
  /** Null for a tablet that does not replicate. */
  readonly lagSeconds: number | null
  readonly caughtUp: boolean
  /** Why it does not replicate, where a backup has given it back so: only a person can repair that. */
  readonly broken?: string
}

/** Activities that touch one tablet: run by its agent, on its own queue. */
export interface TabletActivities {
  /** Changes nothing; refuses with one reason when the tablet should not be taken out of service now. */
  preflightBackup(input: BackupInput): Promise<BackupPlan>
  /** Changes nothing; which backup a restore or bootstrap would use. */
  findBackup(input: RestoreInput | BootstrapInput): Promise<FoundBackup>
  /** Changes nothing; refuses when the tablet's data may not be replaced, do not fit, or could not catch up afterwards. */
  preflightRestore(input: {
    readonly kind: 'restore' | 'bootstrap'
    readonly backup: FoundBackup
    readonly type?: ReplicaType | undefined
  }): Promise<RestorePlan>

  takeTablet(input: TakeInput): Promise<TokenInput>
  /** With `clone`, a clone of the files for that backup is prepared while clients leave. */
  takeOutOfService(
    input: TokenInput & { readonly type: 'BACKUP' | 'RESTORE'; readonly clone?: BackupName | undefined },
  ): Promise<{ readonly sessionsEnded: number }>
  stopReplication(input: TokenInput): Promise<{ readonly position: string }>
  /** `force` of a backup: what its input says. */
  stopMysqld(
    input: TokenInput & { readonly force?: readonly BackupForce[] | undefined },
  ): Promise<{ readonly lsn: string | null }>
  copyFiles(
    input: TokenInput & { readonly backup: BackupName; readonly concurrency?: number | undefined },
  ): Promise<CopySummary>
  /** Instead of `copyFiles`: mysqld is down for a clone only, and `uploadFiles` copies from that when the tablet serves again. */
  cloneFiles(input: TokenInput & { readonly backup: BackupName }): Promise<{ readonly files: number }>
  startMysqld(input: TokenInput & { readonly on: 'its data' | 'restored data' }): Promise<void>
  rejoin(input: TokenInput & { readonly after: 'backup' | 'restore' }): Promise<Rejoined>
  releaseTablet(input: TokenInput): Promise<void>
  /** Needs no lease: the token names the clone. */
  uploadFiles(
    input: TokenInput & { readonly backup: BackupName; readonly concurrency?: number | undefined },
  ): Promise<CopySummary>
  /** Asks storage alone whether it has what was copied. */
  checkBackup(input: { readonly backup: BackupName }): Promise<{ readonly objects: number }>
  /** Tells which transactions in it the primary does not have. */
  publishBackup(input: {
    readonly backup: BackupName
    readonly outOfServiceSeconds: number
  }): Promise<{ readonly errant: string | null }>
  /** Ends an upload that is still at work. Without a clone there is nothing to do. */
  dropClone(input: TokenInput): Promise<void>

  downloadFiles(
    input: TokenInput & { readonly backup: BackupName; readonly concurrency?: number | undefined },
  ): Promise<{ readonly dataBytes: number }>
  /** Makes the data of a new, empty server where downloaded files would be. */
  initializeFiles(input: TokenInput): Promise<void>
  swapData(input: TokenInput): Promise<void>
  /** The restored server holds exactly the transactions of `position` (none when null); it may replicate from there. */
  confirmRestore(input: TokenInput & { readonly position: string | null; readonly type: ServiceType }): Promise<void>
  dropReplaced(input: TokenInput): Promise<void>

  /** The way back from any state. Without a token it is this run's lease that is meant. */
  returnToService(input: { readonly token?: string }): Promise<{
    readonly by: ReturnedBy
    readonly details: readonly string[]
    /** Why the tablet does not serve all the same: only a person can repair that. */
    readonly unserved?: string
  }>
  inspectTablet(nothing?: undefined): Promise<TabletReport>
  /** What the agent may do in storage beyond what it needs, which it proves; null where nobody can tell. */
  tellRights(nothing?: undefined): Promise<AgentRights | null>
}

/** Activities that need only storage: run by control. */
export interface ControlActivities {
  /** Removes what a failed backup left in storage; never a complete backup. */
  discardBackup(input: { readonly shard: ShardName; readonly backup: BackupName }): Promise<void>
  /** Proves by a round trip that storage can be used; without capabilities where the store does not tell them. */
  checkStorage(nothing?: undefined): Promise<{
    readonly description: string
    readonly repository: Repository
    readonly capabilities?: Capabilities
  }>
}

/** Activities that read backups from storage: run by control. */
export interface VerifyActivities {
  /** The latest backup that was published. */
  findPublished(input: { readonly shard: ShardName }): Promise<{ readonly backup: BackupName }>
  /** Reads all of a backup. Damage is what it returns, and no failure. */
  verifyObjects(input: {
    readonly shard: ShardName
    readonly backup: BackupName
    readonly concurrency?: number | undefined
  }): Promise<Verification>
}
