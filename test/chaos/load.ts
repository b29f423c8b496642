import { setTimeout as delay } from 'node:timers/promises'
import { SAMPLE_DATABASE } from '../../sandbox/sample-data.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'

const BETWEEN = 50

/** Small transactions on a primary, one after the other, which can be held for a while to compare data. */
export class Load implements AsyncDisposable {
  readonly #primary: Pick<SampleTablet, 'connect'>
  #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(primary: Pick<SampleTablet, 'connect'>) {
    this.#primary = primary
  }

  resume(): void {
    this.#stopping = new AbortController()
    this.#running = this.#write(this.#stopping.signal)
    // Whoever holds it is told.
    this.#running.catch(() => undefined)
  }

  /** Resolves when the last transaction is committed; throws what stopped it before. */
  async hold(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hold().catch(() => undefined)
  }

  async #write(signal: AbortSignal): Promise<void> {
    const connection = await this.#primary.connect()
    try {
      await connection.query(`USE ${SAMPLE_DATABASE}`)
      for (let count = 1; !signal.aborted; count += 1) {
        await connection.beginTransaction()
        await connection.query('UPDATE customer SET visits = visits + 1 WHERE id = ?', [1 + (count % 100)])
        await connection.query(
          'INSERT INTO orders (placed, customer, total, reference) VALUES (CURRENT_DATE, 1, RAND() * 100, RANDOM_BYTES(64))',
        )
        if (count % 10 === 9) await connection.query('DELETE FROM event_archive ORDER BY id LIMIT 1')
        await connection.commit()
        await delay(BETWEEN, undefined, { signal }).catch(() => undefined)
      }
    } finally {
      connection.destroy()
    }
  }
}
