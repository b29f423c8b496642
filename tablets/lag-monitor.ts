import { setTimeout as delay } from 'node:timers/promises'
import type { GtidSet } from '../model/gtid-set.ts'
import type { TabletDriver, TabletState } from './driver.ts'

const INTERVAL = 1_000
const KEPT = 600

/** What the monitor saw last. */
export interface Observation {
  readonly at: number
  readonly state: TabletState | { readonly mysqld: 'unknown'; readonly why: string }
  /** Null when it cannot be told. */
  readonly lagSeconds: number | null
}

/**
 * Measures how far a tablet is behind its primary without trusting clocks or `Seconds_Behind_Source` (which says 0 seconds after a
 * start and with a broken IO thread): it notes the primary's transactions each second, and the lag is the age of the newest note that
 * the tablet has executed. A primary that cannot be asked is replaced by what the tablet has received from it.
 */
export class LagMonitor {
  readonly #driver: TabletDriver
  #notes: { readonly at: number; readonly executed: GtidSet }[] = []
  #latest: Observation = { at: 0, state: { mysqld: 'unknown', why: 'not observed yet' }, lagSeconds: null }

  constructor(driver: TabletDriver) {
    this.#driver = driver
  }

  get latest(): Observation {
    return this.#latest
  }

  get seconds(): number | null {
    return this.#latest.lagSeconds
  }

  /** Observes each second until aborted. Never throws: what cannot be observed is an observation too. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.observe()
      await delay(INTERVAL, undefined, { signal }).catch(() => undefined)
    }
  }

  /** One observation, now. */
  async observe(): Promise<Observation> {
    try {
      // The note comes first: what the primary has now, the tablet may have a moment later.
      const note = await this.#note()
      const state = await this.#driver.describe()
      this.#latest = { at: Date.now(), state, lagSeconds: this.#lagOf(state, note) }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#latest = { at: Date.now(), state: { mysqld: 'unknown', why }, lagSeconds: null }
    }
    return this.#latest
  }

  async #note(): Promise<boolean> {
    try {
      const { server } = await this.#driver.primary()
      this.#notes = [...this.#notes.slice(1 - KEPT), { at: Date.now(), executed: server.gtidExecuted }]
      return true
    } catch {
      return false
    }
  }

  #lagOf(state: TabletState, noted: boolean): number | null {
    if (state.mysqld !== 'up') return null
    if (state.replication === undefined) return state.server.readOnly ? null : 0
    const executed = state.server.gtidExecuted
    if (!noted) return executed.contains(state.replication.retrieved) ? 0 : null
    const reached = this.#notes.findLast((note) => executed.contains(note.executed))
    if (reached === undefined) return Math.round((Date.now() - (this.#notes[0]?.at ?? Date.now())) / 1000) + 1
    const next = this.#notes.at(-1)
    return next === reached ? 0 : Math.round((Date.now() - reached.at) / 100) / 10
  }
}
