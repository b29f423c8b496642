import { randomUUID } from 'node:crypto'
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/client'
import { TabletkeeperError } from '../model/errors.ts'
import type { TabletReport } from '../model/report.ts'
import {
  type BackupInput,
  type BackupResult,
  type BootstrapInput,
  CONTROL_QUEUE,
  type RestoreInput,
  type RestoreResult,
  type RunKind,
  type RunSubject,
  type WorkflowKind,
} from '../model/runs.ts'
import { parseTime } from '../model/time.ts'
import type { VerifyInput, VerifyResult } from '../model/verification.ts'
import type { AgentRights } from '../storage/agent-rights.ts'
import type { Capabilities } from '../storage/capabilities.ts'
import type { Repository } from '../storage/object-store.ts'
import { type Poller, readPollers } from '../workers/pollers.ts'
import {
  describeStart,
  describeVerification,
  type RunInputs,
  type RunStart,
  runIdOf,
  verificationIdOf,
} from '../workers/run-start.ts'
import { registeredAttributes, type SearchAttributeName } from '../workers/search-attributes.ts'
import { answerWithin } from './answer.ts'
import {
  type ConnectOptions,
  connectTemporal,
  explainTemporal,
  type TemporalConnection,
  type TemporalTarget,
} from './connection.ts'
import { RunHandle } from './run-handle.ts'
import { Schedules } from './schedules.ts'

export { parseAlias, type TabletAlias } from '../model/alias.ts'
export { type BackupName, parseBackupName } from '../model/backup-name.ts'
export { findTablet } from '../model/config.ts'
export { type ErrorType, isError, TabletkeeperError } from '../model/errors.ts'
export type { TabletReport } from '../model/report.ts'
export type {
  BackupInput,
  BackupResult,
  BootstrapInput,
  Progress,
  RestoreInput,
  RestoreResult,
  RunKind,
  RunProgress,
  RunSubject,
  StepName,
  Warning,
  WorkflowKind,
} from '../model/runs.ts'
export { STEP_TITLES } from '../model/runs.ts'
export { parseShardName, type ShardName } from '../model/shard-name.ts'
export type { DamagedObject, DamagedPage, Verification, VerifyInput, VerifyResult } from '../model/verification.ts'
export type { AgentRights } from '../storage/agent-rights.ts'
export type { Capabilities } from '../storage/capabilities.ts'
export type { Repository } from '../storage/object-store.ts'
export { loadConfiguration } from './configuration.ts'
export { type ConnectOptions, TemporalUnavailable } from './connection.ts'
export { RunFailed } from './run-failure.ts'
export { RunHandle, type RunView } from './run-handle.ts'
export type { PendingActivity, RunState, RunStatus } from './run-status.ts'
export type { ScheduleReport, ScheduleWords } from './schedule-report.ts'
export { type NewSchedule, Schedules } from './schedules.ts'

/** What each kind of run returns. */
export interface RunResults {
  readonly backup: BackupResult
  readonly restore: RestoreResult
  readonly bootstrap: RestoreResult
  readonly verifyBackup: VerifyResult
}

export type AnyResult = RunResults[WorkflowKind]

/** An open run, as lists show it. */
export interface OpenRun {
  readonly workflowId: string
  readonly runId: string
  readonly kind: WorkflowKind
  readonly startedAt: Date
}

/** Answer of the workflow `checkStorage`. */
export interface StorageReport {
  /** Which storage was proven to work: `file:/mnt/backups`. */
  readonly description: string
  /** What stands there, as control sees it; left out by an older control. */
  readonly repository?: Repository
  /** What control has seen there with its credentials; left out where the store does not tell. */
  readonly capabilities?: Capabilities
}

/**
 * Starts, watches and stops backups and restores, and keeps their schedules. The typed way in for programs:
 *
 *     await using keeper = await Tabletkeeper.connect()
 *     const run = await keeper.backup({ shard: parseShardName('commerce/0'), tablet: parseAlias('zone1-101') })
 *     const { backup, storedBytes } = await run.result()
 *
 * It talks to Temporal alone, not to tablets or storage. A run goes on when this process ends.
 */
export class Tabletkeeper implements AsyncDisposable {
  /** Which Temporal server and namespace this client uses. */
  readonly temporal: TemporalTarget
  /** Periodic backups. */
  readonly schedules: Schedules
  readonly #client: Client
  #registered: Promise<ReadonlySet<SearchAttributeName>> | undefined

  private constructor({ client, target }: TemporalConnection) {
    this.#client = client
    this.temporal = target
    this.schedules = new Schedules(client, target, () => this.searchAttributes())
  }

  /**
   * Connects to the Temporal server that the environment or a Temporal profile names.
   * @throws TemporalUnavailable, InvalidConfig
   */
  static async connect(options: ConnectOptions = {}): Promise<Tabletkeeper> {
    return new Tabletkeeper(await connectTemporal(options))
  }

  /**
   * Starts a backup of one tablet.
   * @throws TabletBusy when one was started in the same second; TemporalUnavailable
   */
  async backup(input: BackupInput): Promise<RunHandle<BackupResult>> {
    return this.#start('backup', input)
  }

  /**
   * Starts a restore: the tablet's data are replaced, if its host allows it (`agent.replaceData`).
   * @throws InvalidInput when both a name and a time are given, or a time without its zone; TabletBusy; TemporalUnavailable
   */
  async restore(input: RestoreInput): Promise<RunHandle<RestoreResult>> {
    if (input.backup !== undefined && input.before !== undefined) {
      throw new TabletkeeperError('InvalidInput', 'a restore takes the name of a backup or a time, not both')
    }
    if (input.before !== undefined) parseTime(input.before)
    return this.#start('restore', input)
  }

  /**
   * Starts the bootstrap of a new tablet of an existing shard.
   * @throws TabletBusy when one is under way for this tablet; TemporalUnavailable
   */
  async bootstrap(input: BootstrapInput): Promise<RunHandle<RestoreResult>> {
    return this.#start('bootstrap', input)
  }

  /**
   * Starts to read a backup in full; control does it, no tablet is touched. The run fails with `CorruptBackup` when anything is damaged,
   * and says what: `RunFailed.verification`.
   * @throws TabletBusy when one was started for this shard in the same second; TemporalUnavailable
   */
  async verify(input: VerifyInput): Promise<RunHandle<VerifyResult>> {
    const start = describeVerification(input, await this.searchAttributes())
    return this.#begin('verifyBackup', verificationIdOf(input, new Date()), input, start, input.shard)
  }

  /** A run that was started by anybody: the caller knows what it returns. Nothing is asked of Temporal yet. */
  handle<Result extends AnyResult = BackupResult | RestoreResult>(
    workflowId: string,
    runId?: string,
  ): RunHandle<Result> {
    return new RunHandle(this.#client, this.temporal, workflowId, runId)
  }

  /**
   * The open runs, oldest first. Temporal's lists may lag a second behind.
   * @throws TemporalUnavailable
   */
  async runs(): Promise<OpenRun[]> {
    const query = `TaskQueue = '${CONTROL_QUEUE}' AND ExecutionStatus = 'Running' AND WorkflowType IN ('backup', 'restore', 'bootstrap', 'verifyBackup')`
    return this.#call(async () => {
      const open: OpenRun[] = []
      for await (const { workflowId, runId, type, startTime } of this.#client.workflow.list({ query })) {
        if (isWorkflowKind(type)) open.push({ workflowId, runId, kind: type, startedAt: startTime })
      }
      return open.sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime())
    })
  }

  /**
   * What the tablet's agent sees of it now. Changes nothing.
   * @throws NoAgent when no agent or no control answers within `timeout` seconds (default 10); RunFailed when the agent says why not
   */
  async inspect(subject: RunSubject, options: { readonly timeout?: number } = {}): Promise<TabletReport> {
    const timeout = options.timeout ?? 10
    const id = `inspect/${subject.shard}/${subject.tablet}/${randomUUID()}`
    const { shard, tablet } = subject
    return this.#ask('inspectTablet', id, { shard, tablet, agentTimeout: `${timeout}s` }, timeout)
  }

  /**
   * Has `control` write, read and list a probe object in the configured storage, and tell what it can do there.
   * @throws RunFailed or StorageUnavailable when that fails; NoAgent when no control answers
   */
  async checkStorage(): Promise<StorageReport> {
    return this.#ask('checkStorage', `check/storage/${randomUUID()}`, {}, 20)
  }

  /**
   * Has a tablet's agent create and read below its shard in storage, and tell what more it may do there.
   * @returns null where nobody can tell: on file systems, in modules, in a repository without backups
   * @throws RunFailed with `StorageDenied` when it lacks what it needs; NoAgent when nobody answers
   */
  async checkAgentRights({ shard, tablet }: RunSubject): Promise<AgentRights | null> {
    const id = `check/rights/${shard}/${tablet}/${randomUUID()}`
    return this.#ask('checkAgentRights', id, { shard, tablet, agentTimeout: '10s' }, 20)
  }

  /**
   * Who polled a queue lately, newest first: a hint, since Temporal remembers a worker for minutes after its death.
   * @throws TemporalUnavailable
   */
  async pollers(queue: string): Promise<Poller[]> {
    return this.#call(() => readPollers(this.#client, queue))
  }

  /** Which of our search attributes are registered; asked once per connection. */
  searchAttributes(): Promise<ReadonlySet<SearchAttributeName>> {
    this.#registered ??= registeredAttributes(this.#client)
    return this.#registered
  }

  /** Closes the connection. Runs go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.connection.close()
  }

  async #start<Kind extends RunKind>(kind: Kind, input: RunInputs[Kind]): Promise<RunHandle<RunResults[Kind]>> {
    const start = describeStart(kind, input, await this.searchAttributes())
    return this.#begin(kind, runIdOf(kind, input, new Date()), input, start, input.tablet)
  }

  /** @param holds what only one run of this id at a time is about */
  async #begin<Kind extends WorkflowKind>(
    kind: Kind,
    workflowId: string,
    input: object,
    start: RunStart,
    holds: string,
  ): Promise<RunHandle<RunResults[Kind]>> {
    try {
      const started = await this.#client.workflow.start(kind, {
        ...start,
        workflowId,
        args: [input],
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      })
      return new RunHandle(this.#client, this.temporal, workflowId, started.firstExecutionRunId)
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) {
        throw new TabletkeeperError('TabletBusy', `${holds} is held by ${workflowId}, which is open already`, {
          cause: error,
          hint: `tabletkeeper status ${workflowId}`,
        })
      }
      throw explainTemporal(error, this.temporal)
    }
  }

  /** Runs a short workflow that changes nothing, so that nothing is lost when it is ended by its timeout. */
  async #ask<Answer>(type: string, workflowId: string, input: object, seconds: number): Promise<Answer> {
    return this.#call(async () => {
      // A proxy may take a call and never answer it.
      const started = await this.#client.connection.withDeadline(Date.now() + seconds * 1000, () =>
        this.#client.workflow.start(type, {
          taskQueue: CONTROL_QUEUE,
          workflowId,
          args: [input],
          workflowExecutionTimeout: `${seconds + 60}s`,
        }),
      )
      const run = new RunHandle<Answer>(this.#client, this.temporal, workflowId, started.firstExecutionRunId)
      return answerWithin(run, (seconds + 3) * 1000)
    })
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw explainTemporal(error, this.temporal)
    }
  }
}

function isWorkflowKind(type: string): type is WorkflowKind {
  return type === 'backup' || type === 'restore' || type === 'bootstrap' || type === 'verifyBackup'
}
