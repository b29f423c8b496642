import { judgeFrequency } from '../../model/frequency.ts'
import { parsePosition } from '../../model/position.ts'
import type { TabletReport } from '../../model/report.ts'
import type { ShardName } from '../../model/shard-name.ts'
import { parseDuration } from '../../model/units.ts'
import { listBackups } from '../../storage/catalogue.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { ScheduleReport, Tabletkeeper } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'

/** Whether a tablet restored from the shard's newest backup could catch up, now and by the schedules. */
export async function checkFrequency(
  keeper: Tabletkeeper,
  store: ObjectStore,
  shard: ShardName,
  reports: readonly TabletReport[],
): Promise<Check> {
  const known = reports.find(
    ({ primaryPurged, binlogRetentionSeconds }) => primaryPurged !== null && binlogRetentionSeconds !== null,
  )
  if (known === undefined) {
    return {
      verdict: 'FAILED',
      subject: shard,
      message: 'no tablet tells which binary logs the primary has',
      hint: 'Is there a primary?',
    }
  }
  try {
    const interval = await shortestInterval(keeper, shard)
    const newest = await newestPosition(store, shard)
    const { verdict, message, hint } = judgeFrequency({
      newestPosition: newest,
      primaryPurged: parsePosition(known.primaryPurged ?? ''),
      binlogRetentionSeconds: known.binlogRetentionSeconds ?? 0,
      ...(interval === undefined ? {} : { scheduleIntervalSeconds: interval }),
    })
    const scheduled = interval === undefined ? '; no schedule' : ''
    return {
      verdict,
      subject: shard,
      message: `${message}${scheduled}`,
      // A WARN about a shard that has backups is about how often they are made: one more would not help.
      hint: verdict === 'FAILED' || (verdict === 'WARN' && newest === undefined) ? withCommand(hint, shard) : hint,
    }
  } catch (error) {
    return failedCheck(shard, error)
  }
}

/** What is wrong with the interval of a schedule, given for how long binary logs are kept; undefined when nothing is, or nobody can tell. */
export function judgeInterval(
  schedule: ScheduleReport,
  { primaryPurged, binlogRetentionSeconds }: TabletReport,
): Check | undefined {
  if (schedule.interval === undefined || primaryPurged === null || binlogRetentionSeconds === null) return undefined
  const purged = parsePosition(primaryPurged)
  const { verdict, message, hint } = judgeFrequency({
    // What the first backup by this schedule will contain at least.
    newestPosition: purged,
    primaryPurged: purged,
    binlogRetentionSeconds,
    scheduleIntervalSeconds: parseDuration(schedule.interval) / 1000,
  })
  return verdict === 'OK' ? undefined : { verdict, subject: schedule.shard, message, hint }
}

/** A repository that nothing was stored in yet is no failure here: there is no backup. */
async function newestPosition(store: ObjectStore, shard: ShardName) {
  if ((await store.repository()).state === 'new') return undefined
  const { entries } = await listBackups(store, shard)
  const newest = entries.findLast((entry) => entry.state === 'complete')
  return newest === undefined ? undefined : parsePosition(newest.manifest.Position)
}

/** Seconds between the backups of the shard's most frequent schedule that is not paused. */
async function shortestInterval(keeper: Tabletkeeper, shard: ShardName): Promise<number | undefined> {
  const schedules = await keeper.schedules.list(shard)
  const intervals = schedules.flatMap(({ paused, interval }) =>
    paused || interval === undefined ? [] : [parseDuration(interval) / 1000],
  )
  return intervals.length === 0 ? undefined : Math.min(...intervals)
}

function withCommand(hint: string | undefined, shard: ShardName): string {
  return `${hint ?? ''} tabletkeeper backup ${shard}`.trim()
}
