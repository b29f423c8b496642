import type { WorkerPool } from '../pool/worker-pool.ts'

/**
 * What a copy stops by: the caller's signal, or the first thing that fails. Work that is under way then ends by itself, and is waited
 * for: nothing runs any more when the copy has settled.
 */
export class CopyAbort {
  readonly #failure = new AbortController()
  readonly #signal: AbortSignal
  readonly #over = new AbortController()
  readonly #work = new Set<Promise<void>>()

  constructor(signal: AbortSignal, pool: WorkerPool) {
    this.#signal = AbortSignal.any([signal, this.#failure.signal])
    // A signal that somebody listens to is kept for ever, and the pool with it.
    this.#signal.addEventListener('abort', () => pool.cancel(), { once: true, signal: this.#over.signal })
    if (this.#signal.aborted) pool.cancel()
  }

  /** Aborted by whatever stops the copy. */
  get signal(): AbortSignal {
    return this.#signal
  }

  get aborted(): boolean {
    return this.#signal.aborted
  }

  /** Lets work go on by itself; the first failure stops everything. */
  start(work: Promise<void>): void {
    const settled = work
      .catch((error: unknown) => this.#failure.abort(error))
      .finally(() => {
        this.#work.delete(settled)
      })
    this.#work.add(settled)
  }

  /** Waits until all work has ended. @throws the first failure, or the signal's reason */
  async settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work)
    this.#over.abort()
    this.#signal.throwIfAborted()
  }
}
