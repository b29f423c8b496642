import type { FrequencyVerdict } from './frequency.ts'
import { formatDuration } from './units.ts'

export interface OverdueFacts {
  /** When the shard's newest complete backup was done; undefined when there is none. */
  readonly newestAt: Date | undefined
  readonly scheduledSince: Date
  /** Between two scheduled backups. */
  readonly intervalSeconds: number
  /** How late each start may be, on purpose. */
  readonly jitterSeconds: number
  readonly now: Date
}

/** Backups take their time, and not always the same. */
const LEAST_SLACK_SECONDS = 3_600

/**
 * Whether a schedule's backups fail to come: the newest is older than its interval and half of that (an hour at least), and the schedule,
 * too. Undefined while they come, or none is due yet.
 */
export function judgeOverdue(facts: OverdueFacts): FrequencyVerdict | undefined {
  const { newestAt, scheduledSince, intervalSeconds, jitterSeconds, now } = facts
  const slack = Math.max(intervalSeconds / 2, LEAST_SLACK_SECONDS)
  const longest = (intervalSeconds + jitterSeconds + slack) * 1000
  const age = (time: Date): number => now.getTime() - time.getTime()
  const scheduledFor = age(scheduledSince)
  if (Math.min(scheduledFor, newestAt === undefined ? Number.POSITIVE_INFINITY : age(newestAt)) <= longest)
    return undefined
  const every = `every ${formatDuration(intervalSeconds * 1000)}`
  return {
    verdict: 'WARN',
    message:
      newestAt === undefined
        ? `no scheduled backup has succeeded yet, though they have run ${every} for ${formatDuration(scheduledFor)}`
        : `the newest backup is ${formatDuration(age(newestAt))} old, though they run ${every}`,
  }
}
