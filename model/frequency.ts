import type { GtidSet } from './gtid-set.ts'
import { formatDuration } from './units.ts'

export interface FrequencyFacts {
  /** Of the shard's newest complete backup; undefined when there is none. */
  readonly newestPosition: GtidSet | undefined
  /** `gtid_purged` of the primary. */
  readonly primaryPurged: GtidSet
  /** For how long the primary keeps binary logs; 0 is for ever. */
  readonly binlogRetentionSeconds: number
  /** Between two scheduled backups; absent when none are scheduled. */
  readonly scheduleIntervalSeconds?: number
}

export interface FrequencyVerdict {
  readonly verdict: 'OK' | 'WARN' | 'FAILED'
  readonly message: string
  readonly hint?: string
}

/** Room for two failed nights, and for a restore that takes its time. */
const SLACK_SECONDS = 2 * 86_400

/**
 * Whether a tablet that is restored from the newest backup can catch up: the primary must still have every transaction that the
 * backup lacks, now and, by the schedule, later.
 */
export function judgeFrequency(facts: FrequencyFacts): FrequencyVerdict {
  const { newestPosition, primaryPurged, binlogRetentionSeconds, scheduleIntervalSeconds } = facts
  if (newestPosition === undefined) return judgeWithoutBackup(primaryPurged)
  const missing = primaryPurged.subtract(newestPosition)
  if (!missing.isEmpty) {
    return {
      verdict: 'FAILED',
      message: `the newest backup ends before the primary's binary logs begin (${missing.count()} transactions between): a tablet restored from it cannot catch up`,
      hint: 'Take a backup now.',
    }
  }
  if (scheduleIntervalSeconds !== undefined && binlogRetentionSeconds > 0) {
    if (binlogRetentionSeconds - scheduleIntervalSeconds < SLACK_SECONDS) {
      return {
        verdict: 'WARN',
        message: `backups run every ${duration(scheduleIntervalSeconds)}, binary logs are kept for ${duration(binlogRetentionSeconds)}: when backups fail for two days, a tablet restored from the last one cannot catch up`,
        hint: `Raise binlog_expire_logs_seconds to ${scheduleIntervalSeconds + SLACK_SECONDS} or more, or run backups more often.`,
      }
    }
  }
  return { verdict: 'OK', message: 'a tablet restored from the newest backup can catch up' }
}

function judgeWithoutBackup(primaryPurged: GtidSet): FrequencyVerdict {
  if (primaryPurged.isEmpty) {
    return {
      verdict: 'WARN',
      message: 'there is no complete backup',
      hint: 'Take one: data exist only on the tablets.',
    }
  }
  return {
    verdict: 'FAILED',
    message:
      'there is no complete backup, and the binary logs no longer hold everything: no tablet can be added to the shard',
    hint: 'Take a backup now.',
  }
}

function duration(seconds: number): string {
  return formatDuration(seconds * 1000)
}
