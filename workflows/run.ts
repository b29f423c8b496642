import {
  CancellationScope,
  CancelledFailure,
  condition,
  defineQuery,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { TakeInput, TokenInput } from '../activities/contract.ts'
import type { BackupName } from '../model/backup-name.ts'
import { formatReport, type ProgressReport, parseProgressReport } from '../model/progress-report.ts'
import { type ReturnedBy, type RunProgress, type StepName, stepTitle, type WorkflowKind } from '../model/runs.ts'
import { formatDuration } from '../model/units.ts'
import { type Cause, causeOf, hintOf, runFailure, withNothingChanged } from './failure.ts'
import type { TabletAgent } from './options.ts'
import { abandonSignal, contentOf, isHostLost, progressSignal } from './signals.ts'

/** What the run did, does and waits for. */
export const progressQuery = defineQuery<RunProgress>('progress')

/** One run, over one tablet as a rule: its steps as people see them, its first failure, and its way back. */
export class Run {
  readonly #progress: { -readonly [K in keyof RunProgress]: RunProgress[K] }
  readonly #done: { step: StepName; seconds: number; detail: string }[] = []
  readonly #suppressed: string[] = []
  readonly started = Date.now()
  /** Of the step under way. */
  #report: ProgressReport | undefined
  #first: { readonly error: unknown; readonly cause: Cause; readonly step: StepName } | undefined
  #abandoned = false
  #began = new Set<StepName>()
  #returnedBy: ReturnedBy = 'nobody'
  #outSince: number | undefined
  #outSeconds = 0

  constructor(kind: WorkflowKind, input: Pick<RunProgress, 'shard' | 'tablet'>, backup: BackupName | null) {
    this.#progress = {
      kind,
      shard: input.shard,
      tablet: input.tablet,
      backup,
      done: this.#done,
      current: null,
      failure: null,
    }
    const root = CancellationScope.current()
    setHandler(progressQuery, () => this.#progress)
    setHandler(progressSignal, (given) => this.#reported(parseProgressReport(contentOf(given))))
    setHandler(abandonSignal, (given) => {
      if (!isHostLost(contentOf(given))) return
      this.#abandoned = true
      root.cancel()
    })
  }

  get seconds(): number {
    return (Date.now() - this.started) / 1000
  }

  get outOfServiceSeconds(): number {
    return this.#outSeconds
  }

  set backup(name: BackupName | null) {
    this.#progress.backup = name
  }

  /** Whether a step was tried: it may have acted even if it failed. */
  began(step: StepName): boolean {
    return this.#began.has(step)
  }

  /** Runs one step and remembers how long it took; `detail` says in a few words what came of it. */
  async step<T>(step: StepName, act: () => Promise<T>, detail: (result: T) => string = () => ''): Promise<T> {
    const began = Date.now()
    this.#began.add(step)
    this.#show({ step, since: new Date(began).toISOString() })
    if (step === 'takeOutOfService') this.#outSince = began
    try {
      const result = await act()
      this.#done.push({ step, seconds: (Date.now() - began) / 1000, detail: detail(result) })
      this.#show(null)
      if (step === 'releaseTablet') this.#backInService('workflow')
      return result
    } catch (error) {
      this.#failed(error, step)
      throw error
    }
  }

  /**
   * Takes the tablet and runs the steps that need it. Unless they released it, it is returned to service, whatever failed and whatever
   * happens to the run meanwhile: taking counts as done even when it failed, since it may have happened.
   */
  async holding<T>(
    agent: TabletAgent,
    how: Omit<TakeInput, 'kind'>,
    steps: (claim: TokenInput) => Promise<T>,
  ): Promise<T> {
    const { kind } = this.#progress
    if (kind === 'verifyBackup') throw new Error('a verification takes no tablet')
    let token: TokenInput | undefined
    try {
      token = await this.step('takeTablet', () => agent.steps.takeTablet({ kind, ...how }))
      // A step that nothing cancels, such as those after a copy, would wait for a lost host for ever.
      return await Promise.race([steps(token), this.#whenAbandoned()])
    } finally {
      if (this.#returnedBy === 'nobody') await this.#returnToService(agent, token)
    }
  }

  async #whenAbandoned(): Promise<never> {
    await CancellationScope.nonCancellable(() => condition(() => this.#abandoned))
    throw new CancelledFailure('abandoned')
  }

  /** Cleaning up that may fail without changing what the run says. */
  async tidy(step: StepName, act: () => Promise<unknown>): Promise<void> {
    try {
      await CancellationScope.nonCancellable(() => this.step(step, act))
    } catch {
      // `step` has noted it among what failed after the cause.
    }
  }

  /** Undoing that is tried until it succeeds, for days if need be; only `abandon` ends the wait for a host that is lost. */
  async undo(step: StepName, act: () => Promise<unknown>): Promise<void> {
    await this.tidy(step, () => Promise.race([act(), this.#whenAbandoned()]))
  }

  /** What the run throws at its end: the first thing that failed, who returned the tablet, and what failed later. */
  failure(error: unknown): unknown {
    const found = this.#first?.cause ?? causeOf(error, this.#progress.tablet)
    const { tablet } = this.#progress
    const cause = this.began('takeTablet') || tablet === null ? found : withNothingChanged(found)
    if (this.#abandoned) {
      return runFailure(
        undefined,
        { type: 'NoAgent', message: tablet === null ? 'abandoned' : `abandoned: the host of ${tablet} is lost` },
        {
          step: this.#first?.step ?? null,
          returnedBy: 'nobody',
          suppressed: this.#suppressed,
        },
      )
    }
    return runFailure(this.#first?.error ?? error, cause, {
      step: this.#first?.step ?? null,
      ...hintOf(cause),
      returnedBy: this.#returnedBy,
      suppressed: this.#suppressed,
    })
  }

  #failed(error: unknown, step: StepName): void {
    const cause = causeOf(error, this.#progress.tablet)
    if (this.#first === undefined) {
      this.#first = { error, cause, step }
      const message = isCancellation(error) ? 'cancelled' : cause.message
      this.#progress.failure = { type: cause.type, message, step }
    } else {
      this.#suppressed.push(
        `${stepTitle(step, this.#progress.kind)}: ${isCancellation(error) ? 'cancelled' : cause.message}`,
      )
    }
    this.#show(null)
  }

  /** Tried until it succeeds, for days if need be; only `abandon` ends the wait for a host that is lost. */
  async #returnToService(agent: TabletAgent, token: TokenInput | undefined): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      const returned = this.step(
        'returnToService',
        () => agent.wayBack.returnToService(token ?? {}),
        (result) => `by ${result.by}`,
      )
      const result = await Promise.race([returned, condition(() => this.#abandoned)])
      if (typeof result === 'object' && result.unserved !== undefined) this.unserved(result.unserved)
      this.#backInService(result?.by ?? 'nobody')
    })
  }

  /** Notes for a run that fails that its tablet was given back, and does not serve all the same. */
  unserved(why: string): void {
    this.#suppressed.push(`the tablet is unserved: ${why}`)
  }

  #backInService(by: ReturnedBy): void {
    this.#returnedBy = by
    if (this.#outSince === undefined) return
    this.#outSeconds += (Date.now() - this.#outSince) / 1000
    this.#outSince = undefined
  }

  /** One that comes after its step has ended says nothing any more. */
  #reported(report: ProgressReport | undefined): void {
    const { current } = this.#progress
    if (report === undefined || report.step !== current?.step) return
    this.#report = report
    this.#describe()
  }

  #show(current: RunProgress['current']): void {
    this.#progress.current = current
    this.#report = undefined
    this.#describe()
  }

  #describe(): void {
    const { current } = this.#progress
    const lines = this.#done.map(
      (done) =>
        `- ✓ ${stepTitle(done.step, this.#progress.kind)} ${formatDuration(done.seconds * 1000)} ${done.detail}`,
    )
    if (current !== null) lines.push(`- … **${stepTitle(current.step, this.#progress.kind)}** since ${current.since}`)
    if (this.#report !== undefined) lines.push(`  - ${formatReport(this.#report)}`)
    if (this.#progress.failure !== null) {
      const { step, message } = this.#progress.failure
      lines.push(`- ✗ ${step === null ? '' : stepTitle(step, this.#progress.kind)}: ${message}`)
    }
    const { tablet, shard, backup } = this.#progress
    const subject = tablet ?? backup ?? 'the latest backup'
    setCurrentDetails([`${subject} of ${shard}, run ${workflowInfo().runId}`, '', ...lines].join('\n'))
  }
}
