import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'

const LOOK_EVERY = 500

/**
 * Starts a mysqld that died, as an init system does, but for one that a run holds: that is the agent's to start. Two looks in a row,
 * since a lease may be about to be made.
 */
export class MysqldSupervisor implements AsyncDisposable {
  readonly #tablet: SampleTablet
  readonly #ending = new AbortController()
  readonly #watching: Promise<void>
  #isPaused = false

  constructor(tablet: SampleTablet) {
    this.#tablet = tablet
    this.#watching = this.#watch()
  }

  /** Lets mysqld be down while `act` runs. */
  async paused<T>(act: () => Promise<T>): Promise<T> {
    this.#isPaused = true
    try {
      return await act()
    } finally {
      this.#isPaused = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#watching
  }

  async #watch(): Promise<void> {
    const { signal } = this.#ending
    for (let wasDown = false; !signal.aborted; ) {
      const isDown = await this.#isAbandoned()
      // Another one may have been quicker, or a full disk may keep it from starting: the next look tells.
      if (isDown && wasDown) await this.#tablet.start().catch(() => undefined)
      wasDown = isDown
      await delay(LOOK_EVERY, undefined, { signal }).catch(() => undefined)
    }
  }

  async #isAbandoned(): Promise<boolean> {
    if (this.#isPaused || existsSync(join(this.#tablet.datadir, '.tabletkeeper', 'lease.json'))) return false
    return (await this.#tablet.hasData()) && (await this.#tablet.pid()) === undefined && !this.#isPaused
  }
}
