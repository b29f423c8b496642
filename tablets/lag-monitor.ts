import { setTimeout as delay } from 'node:timers/promises'
import { isError, messageOf } from '../model/errors.ts'
import type { GtidSet } from '../model/gtid-set.ts'
import type { TabletDriver, TabletState } from './driver.ts'

const INTERVAL = 1_000
const KEPT = 600
/** How long an observation waits for the primary's answer: a peer that hangs keeps that away, and says nothing of this tablet. */
const NOTE_WAIT = 1_000
/** A primary that has not answered for so long cannot be asked. */
const NOTE_LIMIT = 10_000

/** What the monitor saw last. */
export interface Observation {
  /** By `performance.now()`, a clock that nobody sets. */
  readonly at: number
  readonly state: TabletState | { readonly mysqld: 'unknown'; readonly why: string; readonly hint?: string | undefined }
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
  #noting: Promise<void> | undefined
  /** When the primary was asked last, if it answered. */
  #askedAt: number | undefined
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
      this.#noting ??= this.#note().finally(() => {
        this.#noting = undefined
      })
      await Promise.race([this.#noting, delay(NOTE_WAIT, undefined, { ref: false })])
      const state = await this.#driver.describe()
      this.#latest = { at: performance.now(), state, lagSeconds: this.#lagOf(state) }
    } catch (error) {
      const hint = isError(error) ? error.hint : undefined
      const state = { mysqld: 'unknown', why: messageOf(error), hint } as const
      this.#latest = { at: performance.now(), state, lagSeconds: null }
    }
    return this.#latest
  }

  async #note(): Promise<void> {
    const at = performance.now()
    try {
      const { server } = await this.#driver.primary()
      this.#notes = [...this.#notes.slice(1 - KEPT), { at, executed: server.gtidExecuted }]
      this.#askedAt = at
    } catch {
      this.#askedAt = undefined
    }
  }

  #lagOf(state: TabletState): number | null {
    if (state.mysqld !== 'up') return null
    if (state.replication === undefined) return state.server.readOnly ? null : 0
    const executed = state.server.gtidExecuted
    const isKnown = this.#askedAt !== undefined && performance.now() - this.#askedAt <= NOTE_LIMIT
    if (!isKnown) return executed.contains(state.replication.retrieved) ? 0 : null
    const reached = this.#notes.findLast((note) => executed.contains(note.executed))
    if (reached === undefined)
      return Math.round((performance.now() - (this.#notes[0]?.at ?? performance.now())) / 1000) + 1
    const next = this.#notes.at(-1)
    return next === reached ? 0 : Math.round((performance.now() - reached.at) / 100) / 10
  }
}
