import { access, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../model/config.ts'
import { messageOf } from '../model/errors.ts'
import { foreignLease, type Lease } from '../model/lease.ts'
import type { StepName } from '../model/runs.ts'
import { formatDuration } from '../model/units.ts'
import { type CloneRecord, isMade } from '../tablets/clone-record.ts'
import { outOfRoom } from '../tablets/clone-room.ts'
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
 * It needs Temporal for the third rule only. By a lease that is not the tablet's own, which came with a copy of its data, it returns nothing
 * before a person has said so. By the same rule it drops clones of the tablet's files whose run is closed: nobody else would. And it gives
 * up those that take the room that mysqld needs, whatever their run is at.
 */
export class Reconciler {
  readonly #open: OpenTablet
  readonly #options: ReconcilerOptions
  readonly #pauses = new Set<AbortController>()
  #toldForeign: string | undefined
  /** Since when this process has seen a lease as it is, by a clock that nobody sets. */
  #seen = { lease: '', since: 0 }

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
      this.#repeat(signal, 'a clone could not be dropped', () => this.lookAfterClones()),
    ])
  }

  async #repeat(signal: AbortSignal, failed: string, look: () => Promise<void>): Promise<void> {
    let pause = INTERVAL
    while (!signal.aborted) {
      try {
        await look()
        pause = INTERVAL
      } catch (error) {
        if (signal.aborted) return
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
    const held = await tablet.held()
    if (held?.foreign !== undefined) return this.#tellForeign(held.lease, held.foreign)
    const lease = held?.lease
    const reason = lease && (await this.#reason(lease))
    if (reason !== undefined) await this.#return('reconciler', reason, (found) => found.token === lease?.token, signal)
  }

  /** Once for each: nothing but a person changes it. */
  #tellForeign(lease: Lease, why: string): void {
    if (this.#toldForeign === lease.token) return
    this.#toldForeign = lease.token
    const { alias } = this.#open.tablet.driver
    const { message, hint } = foreignLease(lease, why, alias, { type: 'FenceBroken', retryable: false })
    this.#open.tablet.log.error({ event: 'foreign lease', workflowId: lease.workflowId }, `${message}. ${hint}`)
  }

  /**
   * Gives up clones whose file system runs full, and drops those of runs that are known to be closed. One that may still be made, under
   * the lease, is dropped when that is being returned.
   */
  async lookAfterClones(): Promise<void> {
    const { tablet, clones } = this.#open
    // First, since it needs no Temporal, which may take long to answer.
    const held = await tablet.lease()
    const crowding = async (clone: CloneRecord) => (isBeingMade(clone, held) ? undefined : await outOfRoom(clone.roots))
    for (const { clone, reason } of await clones.giveUp(crowding)) {
      const { workflowId, runId } = clone
      tablet.log.error({ event: 'clone given up', workflowId, runId, err: reason }, reason.message)
    }
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
      await rewrite(request, messageOf(error)).catch(() => undefined)
      throw error
    }
    await rm(request, { force: true })
  }

  async #reason(lease: Lease): Promise<string | undefined> {
    const { tablet } = this.#open
    const { deadManTimeout } = this.#options.config.agent
    if (!tablet.busy && lease.state === 'returning') return 'its return to service was interrupted'
    if (!tablet.busy && this.#idleMilliseconds(lease) > deadManTimeout) {
      return `no step was at work for ${formatDuration(deadManTimeout)}`
    }
    return (await this.#options.runState(lease)) === 'closed'
      ? `run ${lease.runId} is closed and did not release it`
      : undefined
  }

  /** By the host's clock, so that a reboot does not count anew; or as long as it was seen so, where that clock was set back. */
  #idleMilliseconds({ token, touched }: Lease): number {
    const lease = `${token} ${touched}`
    if (this.#seen.lease !== lease) this.#seen = { lease, since: performance.now() }
    return Math.max(Date.now() - Date.parse(touched), performance.now() - this.#seen.since)
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

/** Not made anew: who withdraws a request removes it. */
async function rewrite(path: string, text: string): Promise<void> {
  await using file = await open(path, 'r+')
  const { bytesWritten } = await file.write(text, 0)
  await file.truncate(bytesWritten)
}

/** Steps at which a clone that is not whole is made, or prepared. */
const MAKING: ReadonlySet<string> = new Set([
  'takeOutOfService',
  'stopReplication',
  'stopMysqld',
  'cloneFiles',
] satisfies StepName[])

/** Whether a step under the lease works on a clone, or is about to: that takes seconds, while mysqld writes little or is down. */
function isBeingMade(clone: CloneRecord, lease: Lease | undefined): boolean {
  if (isMade(clone) || lease?.token !== clone.token || lease.state !== 'held') return false
  return lease.step === null || MAKING.has(lease.step.name)
}
