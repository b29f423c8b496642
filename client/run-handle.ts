import { setTimeout } from 'node:timers/promises'
import { type Client, isGrpcDeadlineError, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client'
import { TabletkeeperError } from '../model/errors.ts'
import { refusalAmong } from '../model/refused-payload.ts'
import type { RunProgress } from '../model/runs.ts'
import { explainTemporal, isTemporalOutage, type TemporalTarget } from './connection.ts'
import { PayloadReader } from './payload-reader.ts'
import { RunFailed } from './run-failure.ts'
import { type RunStatus, readRunStatus } from './run-status.ts'

/** What was seen of a run at one moment. Whatever did not answer is undefined. */
export interface RunView {
  readonly at: Date
  /** What Temporal knows; undefined while Temporal cannot be reached. */
  readonly status: RunStatus | undefined
  /** What the workflow tells of its steps; undefined while no `tabletkeeper control` answers. */
  readonly progress: RunProgress | undefined
}

const QUERY_TIMEOUT = 3_000
/** Two clocks measure it. */
const LENIENCE = 100
const POLL_INTERVAL = 1_000

/** One run of a workflow: to wait for, to watch, to stop. Made by `Tabletkeeper`. */
export class RunHandle<Result> {
  readonly workflowId: string
  readonly #client: Client
  readonly #target: TemporalTarget
  readonly #handle: WorkflowHandle
  #runId: string | undefined

  constructor(client: Client, target: TemporalTarget, workflowId: string, runId?: string) {
    this.workflowId = workflowId
    this.#runId = runId
    this.#client = client
    this.#target = target
    this.#handle = client.workflow.getHandle(workflowId, runId)
  }

  /** Identifies this run among others of the same workflow id; empty until it is known, for a handle that was made by id alone. */
  get runId(): string {
    return this.#runId ?? ''
  }

  /**
   * Waits for the end, however long that takes, or until `signal` is aborted: then it rejects, and the run goes on.
   * @throws RunFailed when the run did not succeed; NotFound when there is no such run; TemporalUnavailable; InvalidConfig or Refused when
   * its content is not encrypted with a key that this client has
   */
  async result(signal?: AbortSignal): Promise<Result> {
    return this.#call(async () => {
      try {
        // Aborting the call itself lets a process end at once: else it stays until the server answers the long poll.
        const wait = () => this.#handle.result()
        return taken(await (signal === undefined ? wait() : this.#client.connection.withAbortSignal(signal, wait)))
      } catch (error) {
        throw RunFailed.from(this, error) ?? error
      }
    })
  }

  /**
   * Asks the workflow what it did, does and waits for; works after its end as well.
   * @throws NoAgent when no `tabletkeeper control` answers within 3 seconds; NotFound; TemporalUnavailable
   */
  async progress(): Promise<RunProgress> {
    return this.#call(async () => {
      const asked = performance.now()
      try {
        return taken(await this.#soon(() => this.#handle.query<RunProgress>('progress')))
      } catch (error) {
        // Where the server is the first to give up, the call looks as if somebody had cancelled it.
        const isLate = performance.now() - asked > QUERY_TIMEOUT - LENIENCE
        if (!(isGrpcDeadlineError(error) || (isLate && isTemporalOutage(error)))) throw error
        throw new TabletkeeperError('NoAgent', 'no tabletkeeper control answers for this run', {
          cause: error,
          hint: 'Start tabletkeeper control: the run goes on from where it is.',
        })
      }
    })
  }

  /**
   * What Temporal knows of the run; needs no worker.
   * @throws NotFound when there is no such run; TemporalUnavailable
   */
  async status(): Promise<RunStatus> {
    return this.#call(async () => {
      const description = await this.#soon(() => this.#handle.describe())
      this.#runId ??= description.runId
      return await readRunStatus(description, new Date(), new PayloadReader(this.#client))
    })
  }

  /** Everything that answers now; never throws for what does not, but for `NotFound`. */
  async view(): Promise<RunView> {
    const [status, progress] = await Promise.allSettled([this.status(), this.progress()])
    if (status.status === 'rejected' && !isTemporalOutage(status.reason)) throw status.reason
    return {
      at: new Date(),
      status: status.status === 'fulfilled' ? status.value : undefined,
      progress: progress.status === 'fulfilled' ? progress.value : undefined,
    }
  }

  /**
   * Waits for the end and reports on the way, about once a second, and once more after the end. Outages of Temporal are waited
   * out. When `signal` is aborted, watching ends and the run goes on.
   * @throws what `result` throws, but for TemporalUnavailable; the signal's reason when it is aborted
   */
  async follow(onView: (view: RunView) => void, options: { readonly signal?: AbortSignal } = {}): Promise<Result> {
    const { signal } = options
    const ended = settle(this.#resultThroughOutages(signal))
    let outcome: Outcome<Result> | undefined
    while (outcome === undefined) {
      signal?.throwIfAborted()
      onView(await this.view())
      outcome = await within(POLL_INTERVAL, ended, signal)
    }
    signal?.throwIfAborted()
    onView(await this.view())
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  /**
   * Asks the run to stop. It puts the tablet back into service first, so that its end comes later: see `result`.
   * @throws NotFound when it is not open; TemporalUnavailable
   */
  async cancel(): Promise<void> {
    // The server takes a request to cancel what is over, and forgets it.
    if ((await this.status()).state !== 'running') throw this.#notFound('open run')
    await this.#call(() => this.#handle.cancel(), 'open run')
  }

  /**
   * Ends a run that waits for a host which is gone for good. The tablet's lease dies with its host.
   * @throws NotFound when it is not open; TemporalUnavailable
   */
  async abandon(): Promise<void> {
    await this.#call(() => this.#handle.signal('abandon', { reason: 'host-lost' }), 'open run')
  }

  async #resultThroughOutages(signal: AbortSignal | undefined): Promise<Result> {
    for (;;) {
      try {
        return await this.result(signal)
      } catch (error) {
        if (!isTemporalOutage(error) || signal?.aborted) throw error
        await pause(POLL_INTERVAL, signal)
      }
    }
  }

  #notFound(what: string, cause?: unknown): TabletkeeperError {
    return new TabletkeeperError('NotFound', `there is no ${what} ${this.workflowId}`, {
      cause,
      hint: 'tabletkeeper status lists the open runs.',
    })
  }

  #soon<T>(call: () => Promise<T>): Promise<T> {
    return this.#client.connection.withDeadline(Date.now() + QUERY_TIMEOUT, call)
  }

  async #call<T>(call: () => Promise<T>, what = 'run'): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        throw this.#notFound(what, error)
      }
      throw explainTemporal(error, this.#target)
    }
  }
}

/** What a run answered, unless its content was refused. */
function taken<Answer>(answer: Answer): Answer {
  const refusal = refusalAmong([answer], 'what Temporal holds of this run')
  if (refusal !== undefined) throw refusal
  return answer
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

function settle<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
}

/** The outcome, or undefined when it did not come within `milliseconds`. */
async function within<T>(
  milliseconds: number,
  outcome: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  const timer = new AbortController()
  try {
    return await Promise.race([
      outcome,
      pause(milliseconds, signal ? AbortSignal.any([timer.signal, signal]) : timer.signal),
    ])
  } finally {
    timer.abort()
  }
}

/** Resolves after a while, or early when aborted. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<undefined> {
  return setTimeout(milliseconds, undefined, signal ? { signal } : {}).catch(() => undefined)
}
