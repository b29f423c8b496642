import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { TabletAlias } from '../model/alias.ts'
import { messageOf } from '../model/errors.ts'
import { formatDuration } from '../model/units.ts'
import type { OpenTablet } from './open-tablet.ts'

/** A tablet that this agent is to look after, whether it could be opened by now or not: one that cannot keeps no other from its agent. */
export class AttendedTablet {
  readonly alias: TabletAlias
  readonly log: Logger
  readonly #open: () => Promise<OpenTablet>
  readonly #opened = Promise.withResolvers<OpenTablet>()
  #state: { readonly open: OpenTablet } | { readonly problem: unknown } = { problem: 'it was not opened yet' }

  constructor(alias: TabletAlias, open: () => Promise<OpenTablet>, log: Logger) {
    this.alias = alias
    this.log = log.child({ tablet: alias })
    this.#open = open
  }

  get open(): OpenTablet | undefined {
    return 'open' in this.#state ? this.#state.open : undefined
  }

  /** Why it is not open. */
  get problem(): unknown {
    return 'problem' in this.#state ? this.#state.problem : undefined
  }

  /** Opens it if that can be done now; never rejects, `problem` says why not. */
  async tryToOpen(): Promise<void> {
    try {
      const open = await this.#open()
      this.#state = { open }
      this.#opened.resolve(open)
    } catch (problem) {
      this.#state = { problem }
    }
  }

  /** Tries every `pause` milliseconds until it is open; undefined when `signal` was aborted before. */
  async openWhenPossible(signal: AbortSignal, pause: number): Promise<OpenTablet | undefined> {
    while (this.open === undefined && !signal.aborted) {
      const { problem } = this
      this.log.error(
        { event: 'not opened', err: problem },
        `${this.alias} is not looked after, next try in ${formatDuration(pause)}: ${messageOf(problem)}`,
      )
      await delay(pause, undefined, { signal }).catch(() => undefined)
      if (!signal.aborted) await this.tryToOpen()
    }
    return this.open
  }

  /** Waits until it is open. Rejects with the signal's reason. */
  async whenOpen(signal: AbortSignal): Promise<OpenTablet> {
    signal.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const tell = (): void => aborted.reject(signal.reason)
    signal.addEventListener('abort', tell, { once: true })
    try {
      return await Promise.race([this.#opened.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', tell)
    }
  }
}
