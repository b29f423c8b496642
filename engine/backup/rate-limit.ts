import { setTimeout as delay } from 'node:timers/promises'

/**
 * Spreads what a copy reads over time. Idle time is not made up for: a copy that was held up by its store goes on at the rate, and no
 * faster.
 */
export class RateLimit {
  readonly #bytesPerSecond: number
  readonly #signal: AbortSignal
  /** When what was let through so far is through at the rate; of the clock that nobody sets. */
  #through = 0

  /** @param bytesPerSecond undefined: as fast as it goes */
  constructor(bytesPerSecond: number | undefined, signal: AbortSignal) {
    this.#bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY
    this.#signal = signal
  }

  /** Waits until the next `bytes` may be read, or the signal is aborted. Callers get their turn in the order in which they ask. */
  async admit(bytes: number): Promise<void> {
    const now = performance.now()
    const begins = Math.max(this.#through, now)
    this.#through = begins + (bytes / this.#bytesPerSecond) * 1000
    // Who looks at the signal next sees it: here it only ends the wait.
    if (begins > now) await delay(begins - now, undefined, { signal: this.#signal }).catch(() => undefined)
  }
}
