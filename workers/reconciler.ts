import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../model/config.ts'
import { messageOf } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import { formatDuration } from '../model/units.ts'
import { returnToService } from '../tablets/return-to-service.ts'
import type { RunIdentity, RunState } from '../tablets/run-state.ts'
import type { OpenTablet } from './open-tablet.ts'

const INTERVAL = 3_000
const LONGEST_PAUSE = 30_000

export interface ReconcilerOptions {
  readonly config: Config
  readonly runState: (run: RunIdentity) => Promise<RunState>
}

/**
 * Sees to it that no tablet stays out of service because nobody is left who would return it. It returns a tablet when
 *
 * - a person asked for it (`tabletkeeper agent return`);
 * - its return was begun, and nobody is at it: the agent died meanwhile, or what it needed was not there;
 * - the run that holds it is closed without having released it: terminated, reset, deleted, timed out;
 * - no step has been at work for `deadManTimeout`, whatever Temporal says: it may be down, or the run stuck.
 *
 * It needs Temporal for the third rule only. By the same rule it drops clones of the tablet's files whose run is closed: nobody else would.
 */
export class Reconciler {
  readonly #open: OpenTablet
  readonly #options: ReconcilerOptions
  readonly #pauses = new Set<AbortController>()

  constructor(open: OpenTablet, options: ReconcilerOptions) {
    this.#open = open
    this.#options = options
  }

  /** Looks now instead of at the next turn. */
  kick(): void {
    for (const pause of this.#pauses) pause.abort()
  }

  /** Looks every few seconds until aborted; what fails is tried again, ever less often up to twice a minute. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#repeat(signal, 'the tablet could not be returned to service', () => this.reconcile(signal)),
      // Beside the return, which may wait for an hour, while a clone takes ever more room.
      this.#repeat(signal, 'a clone could not be dropped', () => this.dropClones()),
    ])
  }

  async #repeat(signal: AbortSignal, failed: string, look: () => Promise<void>): Promise<void> {
    let pause = INTERVAL
    while (!signal.aborted) {
      try {
        await look()
        pause = INTERVAL
      } catch (error) {
        pause = Math.min(pause * 2, LONGEST_PAUSE)
        this.#open.tablet.log.error(
          { event: 'reconcile', err: error },
          `${failed}, next try in ${formatDuration(pause)}: ${messageOf(error)}`,
        )
      }
      const kicked = new AbortController()
      this.#pauses.add(kicked)
      await delay(pause, undefined, { signal: AbortSignal.any([signal, kicked.signal]) }).catch(() => undefined)
      this.#pauses.delete(kicked)
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

  /** Clones of runs that are known to be closed. One that may still be made, under the lease, is dropped when that is being returned. */
  async dropClones(): Promise<void> {
    const { tablet, clones } = this.#open
    for (const clone of await clones.all()) {
      if ((await this.#options.runState(clone)) !== 'closed') continue
      const lease = await tablet.lease()
      if (lease?.token === clone.token && (lease.state === 'held' || lease.step !== null)) continue
      await clones.drop(clone.token)
      const { workflowId, runId } = clone
      tablet.log.warn({ event: 'clone dropped', workflowId, runId }, `its clone was dropped: run ${runId} is closed`)
    }
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
