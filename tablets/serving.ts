import type { Lease } from '../model/lease.ts'
import type { TabletType } from '../model/tablet-type.ts'
import { formatDuration, type Milliseconds } from '../model/units.ts'
import type { TabletDriver } from './driver.ts'
import type { Observation } from './lag-monitor.ts'

/** Whether queries may be sent to a tablet now, and why (not). */
export interface Serving {
  readonly serving: boolean
  readonly type: TabletType
  readonly lagSeconds: number | null
  readonly reason: string
}

/** An observation older than this says nothing any more. */
const STALE = 15_000

/** Judges by the lease first: a tablet that a run holds is out of service before anything is done to it. */
export function judgeServing(
  driver: TabletDriver,
  lease: Lease | undefined,
  seen: Observation,
  maxLag: Milliseconds,
  emptyBecause = 'bootstrap it',
): Serving {
  const no = (type: TabletType, reason: string): Serving => ({
    serving: false,
    type,
    lagSeconds: seen.lagSeconds,
    reason,
  })
  const type = lease?.type ?? (seen.state.mysqld === 'unknown' ? 'REPLICA' : driver.serviceType(seen.state))
  if (type === 'BACKUP' || type === 'RESTORE')
    return no(type, `type ${type}: held by ${lease?.workflowId} since ${lease?.since}`)
  if (seen.state.mysqld === 'unknown') return no(type, `mysqld cannot be observed: ${seen.state.why}`)
  if (seen.state.mysqld === 'empty') return no(type, `the tablet is empty: ${emptyBecause}`)
  if (seen.state.mysqld === 'down') return no(type, 'mysqld is down')
  if (lease?.kind === 'bootstrap') return no(type, `being bootstrapped by ${lease.workflowId}`)
  if (Date.now() - seen.at > STALE) return no(type, 'mysqld has not answered for 15 s')
  if (type === 'PRIMARY') return { serving: true, type, lagSeconds: 0, reason: 'takes writes' }
  const { replication } = seen.state
  if (replication === undefined) return no(type, 'replication is not configured')
  if (replication.ioRunning !== 'Yes' || replication.sqlRunning !== 'Yes') {
    const error = replication.lastError === '' ? '' : `: ${replication.lastError}`
    return no(type, `replication does not run (IO ${replication.ioRunning}, SQL ${replication.sqlRunning})${error}`)
  }
  if (seen.lagSeconds === null) return no(type, 'lag is unknown: the primary cannot be asked')
  if (seen.lagSeconds * 1000 > maxLag)
    return no(type, `lag ${seen.lagSeconds}s is more than backup.maxLag, ${formatDuration(maxLag)}`)
  return { serving: true, type, lagSeconds: seen.lagSeconds, reason: `replicates, lag ${seen.lagSeconds}s` }
}
