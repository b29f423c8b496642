import { judgeFrequency } from '../../model/frequency.ts'
import { judgeOverdue } from '../../model/overdue.ts'
import { parsePosition } from '../../model/position.ts'
import type { TabletReport } from '../../model/report.ts'
import type { ShardName } from '../../model/shard-name.ts'
import { parseDuration } from '../../model/units.ts'
import { type CompleteBackup, newestRestorable } from '../../storage/catalogue/catalogue.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { ScheduleReport } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'

/** What was heard of a shard: what its tablets' agents say, and its schedules. */
export interface ShardFacts {
  readonly reports: readonly TabletReport[]
  readonly schedules: readonly ScheduleReport[]
}

/**
 * Whether a tablet restored from the shard's newest backup could catch up, now and by the schedules; and, where scheduled backups do not
 * come, that.
 */
export async function checkFrequency(store: ObjectStore, shard: ShardName, facts: ShardFacts): Promise<Check[]> {
  try {
    const newest = await newestBackup(store, shard)
    return [judgeReach(shard, newest, facts), ...judgeSchedules(facts.schedules, newest && doneAt(newest), new Date())]
  } catch (error) {
    return [failedCheck(shard, error)]
  }
}

function judgeReach(shard: ShardName, newest: CompleteBackup | undefined, { reports, schedules }: ShardFacts): Check {
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
  const interval = shortestInterval(schedules)
  const { verdict, message, hint } = judgeFrequency({
    newestPosition: newest && parsePosition(newest.manifest.Position),
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
}

/** What Vitess stored may not say when it was done. */
function doneAt({ manifest }: CompleteBackup): Date {
  return new Date(manifest.FinishedTime || manifest.BackupTime)
}

/** What is to be said of schedules whose backups do not come. One that is paused owes none. */
export function judgeSchedules(schedules: readonly ScheduleReport[], newestAt: Date | undefined, now: Date): Check[] {
  return schedules.flatMap(({ shard, tablet, paused, every, interval, jitter, createdAt, lastRuns }) => {
    if (paused || interval === undefined) return []
    const overdue = judgeOverdue({
      newestAt,
      scheduledSince: createdAt,
      // The interval has the jitter in it.
      intervalSeconds: parseDuration(every ?? interval) / 1000,
      jitterSeconds: every === undefined || jitter === undefined ? 0 : parseDuration(jitter) / 1000,
      now,
    })
    if (overdue === undefined) return []
    const last = lastRuns.at(-1)
    const why = last === undefined ? '' : `; what came of its last run: tabletkeeper status ${last.workflowId}`
    return [{ ...overdue, subject: shard, hint: `tabletkeeper schedule show ${tablet}${why}` }]
  })
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
async function newestBackup(store: ObjectStore, shard: ShardName): Promise<CompleteBackup | undefined> {
  return (await store.repository()).state === 'new' ? undefined : await newestRestorable(store, shard)
}

/** Seconds between the backups of the most frequent schedule that is not paused. */
function shortestInterval(schedules: readonly ScheduleReport[]): number | undefined {
  const intervals = schedules.flatMap(({ paused, interval }) =>
    paused || interval === undefined ? [] : [parseDuration(interval) / 1000],
  )
  return intervals.length === 0 ? undefined : Math.min(...intervals)
}

function withCommand(hint: string | undefined, shard: ShardName): string {
  return `${hint ?? ''} tabletkeeper backup ${shard}`.trim()
}
