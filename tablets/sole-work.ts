import { setTimeout as delay } from 'node:timers/promises'
import { TabletkeeperError } from '../model/errors.ts'

/** How long work that was told to stop may take before others go on without it. Only a store can hang that long. */
const STOP_LIMIT = 60_000

/** What one piece of work may do. */
export interface Work {
  /** Aborted when the caller's signal is, when it is given up, or when others are to begin. */
  readonly signal: AbortSignal
  /** Released when the work ends; or when it does not end although it was told to, because a store hangs that it waits for. */
  holds(resource: AsyncDisposable): void
  /** Tells the work to end, with the error that it shall end with. */
  giveUp(reason: TabletkeeperError): void
}

export interface WorkOptions {
  /** For people: `step copyFiles of zone1-0000000101`. */
  readonly name: string
  readonly signal: AbortSignal
  /** Called once, when nobody waits for the work any more. */
  readonly ended?: () => Promise<unknown> | undefined
}

/** Work of which one piece at a time is done in this process: what begins has seen the one before it stop. */
export class SoleWork {
  readonly #stopLimit: number
  #running: { readonly abort: AbortController; readonly ended: Promise<unknown> } | undefined
  #gate: Promise<unknown> = Promise.resolve()

  /** @param stopLimit how long work that was told to stop may take, in milliseconds */
  constructor(stopLimit: number = STOP_LIMIT) {
    this.#stopLimit = stopLimit
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** Runs `decide` when all that came here before it has been decided. It stops, waits for and begins work; it does not do any. */
  exclusively<T>(decide: () => Promise<T>): Promise<T> {
    const result = this.#gate.then(decide)
    this.#gate = result.catch(() => undefined)
    return result
  }

  /** Resolves when everything that came to `exclusively` by now has been decided. */
  async settled(): Promise<void> {
    await this.#gate
  }

  /** Tells what runs to stop, and waits until it has. */
  async stop(reason: TabletkeeperError): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.abort.abort(reason)
    await running.ended
  }

  /** Begins work; what ran before has been stopped. Its result is wrapped: the gate opens now, not when the work has ended. */
  begin<T>({ name, signal, ended }: WorkOptions, act: (work: Work) => Promise<T>): { readonly ended: Promise<T> } {
    const abort = new AbortController()
    const stop = AbortSignal.any([abort.signal, signal])
    const held = new AsyncDisposableStack()
    const over = new AbortController()
    const acting = act({
      signal: stop,
      holds: (resource) => void held.use(resource),
      giveUp: (reason) => abort.abort(reason),
    })
    const end = Promise.race([acting, this.#outlasted(stop, name, over.signal)]).finally(async () => {
      over.abort()
      try {
        await held.disposeAsync()
        await ended?.()
      } finally {
        this.#running = undefined
      }
    })
    this.#running = { abort, ended: end.catch(() => undefined) }
    return { ended: end }
  }

  /** Rejects when the work has not ended long after it was told to: others go on without it. */
  async #outlasted(stop: AbortSignal, name: string, over: AbortSignal): Promise<never> {
    // A signal that somebody listens to is kept for ever.
    const options = { once: true, signal: over }
    if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, options))
    await delay(this.#stopLimit, undefined, { ref: false })
    throw new TabletkeeperError('StorageUnavailable', `${name} does not stop: storage hangs`, {
      cause: stop.reason,
      hint: 'Look at the mount or the network of the storage. What waited for that step goes on without it.',
    })
  }
}
