import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../model/config.ts'
import { messageOf } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import { formatDuration } from '../model/units.ts'
import { returnToService } from '../tablets/return-to-service.ts'
import type { OpenTablet } from './open-tablet.ts'

const INTERVAL = 3_000
const LONGEST_PAUSE = 30_000

/** Whether the run that holds a lease is still open, as far as Temporal can be asked. */
export type RunState = 'open' | 'closed' | 'unknown'

export interface ReconcilerOptions {
  readonly config: Config
  readonly runState: (lease: Lease) => Promise<RunState>
}

/**
 * Sees to it that no tablet stays out of service because nobody is left who would return it. It returns a tablet when
 *
 * - a person asked for it (`tabletkeeper agent return`);
 * - its return was begun, and nobody is at it: the agent died meanwhile, or what it needed was not there;
 * - the run that holds it is closed without having released it: terminated, reset, deleted, timed out;
 * - no step has been at work for `deadManTimeout`, whatever Temporal says: it may be down, or the run stuck.
 *
 * It needs Temporal for the third rule only.
 */
export class Reconciler {
  readonly #open: OpenTablet
  readonly #options: ReconcilerOptions
  #wake: AbortController = new AbortController()

  constructor(open: OpenTablet, options: ReconcilerOptions) {
    this.#open = open
    this.#options = options
  }

  /** Looks now instead of at the next turn. */
  kick(): void {
    this.#wake.abort()
  }

  /** Looks every few seconds until aborted; a return that fails is tried again, ever less often up to twice a minute. */
  async run(signal: AbortSignal): Promise<void> {
    let pause = INTERVAL
    while (!signal.aborted) {
      try {
        await this.reconcile(signal)
        pause = INTERVAL
      } catch (error) {
        pause = Math.min(pause * 2, LONGEST_PAUSE)
        this.#open.tablet.log.error(
          { event: 'reconcile', err: error },
          `the tablet could not be returned to service, next try in ${formatDuration(pause)}: ${messageOf(error)}`,
        )
      }
      this.#wake = new AbortController()
      await delay(pause, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => undefined)
    }
  }

  /** One look. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { tablet, folder } = this.#open
    const request = join(folder, RETURN_REQUEST)
    const asked = await access(request).then(
      () => true,
      () => false,
    )
    if (asked) return await this.#returnFor(request, signal)
    const lease = await tablet.lease()
    const reason = lease && (await this.#reason(lease))
    if (reason !== undefined) await this.#return('reconciler', reason, (found) => found.token === lease?.token, signal)
  }

  /** The person who made the request reads in it why the return was not possible yet. */
  async #returnFor(request: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#return('person', 'a person asked for it', () => true, signal)
    } catch (error) {
      await writeFile(request, messageOf(error), { flag: 'r+' }).catch(() => undefined)
      throw error
    }
    await rm(request, { force: true })
  }

  async #reason(lease: Lease): Promise<string | undefined> {
    const { tablet } = this.#open
    const { deadManTimeout } = this.#options.config.agent
    if (!tablet.busy && lease.state === 'returning') return 'its return to service was interrupted'
    if (!tablet.busy && Date.now() - Date.parse(lease.touched) > deadManTimeout) {
      return `no step was at work for ${formatDuration(deadManTimeout)}`
    }
    return (await this.#options.runState(lease)) === 'closed'
      ? `run ${lease.runId} is closed and did not release it`
      : undefined
  }

  async #return(
    by: 'reconciler' | 'person',
    reason: string,
    meant: (lease: Lease) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { tablet } = this.#open
    const { config } = this.#options
    const outcome = await returnToService(tablet, { by, meant, limits: config.backup, signal })
    if (outcome.outcome === 'nothing to do') return
    tablet.log.warn({ event: 'returned', by, reason, details: outcome.details }, `returned to service: ${reason}`)
  }
}

/**
 * The file in a tablet's private folder by which a person asks a running agent to return the tablet. It is gone when that is done, and
 * until then holds why the last try failed.
 */
export const RETURN_REQUEST = 'return-requested'
