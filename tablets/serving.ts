import type { TabletType } from '../model/tablet-type.ts'
import { formatDuration, type Milliseconds } from '../model/units.ts'
import type { TabletDriver } from './driver.ts'
import type { Observation } from './lag-monitor.ts'
import type { Held } from './leased-tablet.ts'

/** Whether queries may be sent to a tablet now, and why (not). */
export interface Serving {
  readonly serving: boolean
  readonly type: TabletType
  readonly lagSeconds: number | null
  readonly reason: string
  /** What to do so that it serves; null where that is clear, or nothing needs to be done. */
  readonly hint: string | null
}

/** An observation older than this says nothing any more. */
const STALE = 15_000

/** Judges by the lease first: a tablet that a run holds is out of service before anything is done to it. */
export function judgeServing(
  driver: TabletDriver,
  held: Held | undefined,
  seen: Observation,
  maxLag: Milliseconds,
  emptyBecause = 'bootstrap it',
): Serving {
  const no = (type: TabletType, reason: string, hint?: string): Serving => ({
    serving: false,
    type,
    lagSeconds: seen.lagSeconds,
    reason,
    hint: hint ?? null,
  })
  const lease = held?.lease
  const type = lease?.type ?? (seen.state.mysqld === 'unknown' ? 'REPLICA' : driver.serviceType(seen.state))
  if (held?.foreign !== undefined) return no(type, `its lease is not its own: ${held.foreign}`)
  if (type === 'BACKUP' || type === 'RESTORE')
    return no(type, `type ${type}: held by ${lease?.workflowId} since ${lease?.since}`)
  if (seen.state.mysqld === 'unknown') return no(type, `mysqld cannot be observed: ${seen.state.why}`, seen.state.hint)
  if (seen.state.mysqld === 'empty')
    return no(type, `the tablet is empty: ${emptyBecause}`, `tabletkeeper bootstrap ${driver.alias}`)
  if (seen.state.mysqld === 'down') return no(type, 'mysqld is down', 'Start it. Its error log says why it ended.')
  if (lease?.kind === 'bootstrap') return no(type, `being bootstrapped by ${lease.workflowId}`)
  if (performance.now() - seen.at > STALE)
    return no(type, 'mysqld has not answered for 15 s', 'Is it frozen, or does its disk hang?')
  if (type === 'PRIMARY') return { serving: true, type, lagSeconds: 0, reason: 'takes writes', hint: null }
  const { replication } = seen.state
  if (replication === undefined) return no(type, 'replication is not configured', 'Make it a replica of the primary.')
  if (replication.ioRunning !== 'Yes' || replication.sqlRunning !== 'Yes') {
    const error = replication.lastError === '' ? '' : `: ${replication.lastError}`
    const hint =
      error === ''
        ? "If the agent's log has no `broken replication`, which says that its primary lacks what it has: START REPLICA"
        : 'Repair it, or restore the tablet.'
    return no(
      type,
      `replication does not run (IO ${replication.ioRunning}, SQL ${replication.sqlRunning})${error}`,
      hint,
    )
  }
  if (seen.lagSeconds === null) {
    const hint = 'Does the primary run, and let mysql.replication.user in from this host?'
    return no(type, 'lag is unknown: the primary cannot be asked', hint)
  }
  if (seen.lagSeconds * 1000 > maxLag)
    return no(
      type,
      `lag ${seen.lagSeconds}s is more than backup.maxLag, ${formatDuration(maxLag)}`,
      'Wait until it has caught up.',
    )
  return { serving: true, type, lagSeconds: seen.lagSeconds, reason: `replicates, lag ${seen.lagSeconds}s`, hint: null }
}
