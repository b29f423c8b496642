import type { ScheduleDescription } from '@temporalio/client'
import { TabletkeeperError } from '../model/errors.ts'
import { refusalAmong } from '../model/refused-payload.ts'
import { type RunSubject, SUBJECT_MEMO } from '../model/runs.ts'
import { readSubject } from './run-status.ts'

/** When a schedule acts, in the words in which it was asked for: Temporal gives them back compiled. */
export interface ScheduleWords {
  /** Five fields, as in cron: minute hour day month weekday. */
  readonly cron?: string | undefined
  /** A duration: `24h`. Counted from 1970-01-01 UTC, as Temporal does: all schedules of 24h start at midnight UTC. */
  readonly every?: string | undefined
  /** Each start is late by a random time up to this. */
  readonly jitter?: string | undefined
  /** How late a missed backup is still made up for; default `1h`. */
  readonly catchUp?: string | undefined
  /** Of the cron expression; default UTC. */
  readonly timezone?: string | undefined
}

/** What a schedule did and will do. */
export interface ScheduleReport extends RunSubject, ScheduleWords {
  readonly createdAt: Date
  readonly paused: boolean
  /** Why it is paused or was resumed; empty when nobody said. */
  readonly note: string
  readonly nextRuns: readonly Date[]
  /** Oldest first. */
  readonly lastRuns: readonly { readonly workflowId: string; readonly startedAt: Date }[]
  readonly runningNow: readonly string[]
  /** How often backups say that they are made, jitter included; a duration, see `BackupInput.interval`. */
  readonly interval: string | undefined
  /** Runs left out because the one before still ran. */
  readonly skipped: number
  /** Runs left out because Temporal was away for longer than `catchUp`. */
  readonly missed: number
}

/** The memo that keeps the words in which a schedule was asked for. */
export const WORDS_MEMO = 'tabletkeeperSchedule'

/**
 * Reads what Temporal says about a schedule.
 * @throws NotFound when it is none of ours; what `scheduleSubject` throws
 */
export function readSchedule(description: ScheduleDescription): ScheduleReport {
  const { memo, state, info, action, scheduleId } = description
  const subject = scheduleSubject(memo, scheduleId)
  if (subject === undefined) {
    throw new TabletkeeperError('NotFound', `the schedule ${scheduleId} was not made by tabletkeeper`)
  }
  return {
    ...subject,
    ...readWords(memo?.[WORDS_MEMO]),
    createdAt: info.createdAt,
    paused: state.paused,
    note: state.note ?? '',
    nextRuns: state.paused ? [] : info.nextActionTimes,
    lastRuns: info.recentActions.map(({ takenAt, action: { workflow } }) => ({
      workflowId: workflow.workflowId,
      startedAt: takenAt,
    })),
    runningNow: info.runningActions.map(({ workflow }) => workflow.workflowId),
    interval: intervalOf(action.args?.[0]),
    skipped: info.numActionsSkippedOverlap,
    missed: info.numActionsMissedCatchupWindow,
  }
}

/**
 * Which tablet a schedule is about; undefined when it is none of ours.
 * @throws InvalidConfig or Refused when its content is not encrypted with a key that this client has
 */
export function scheduleSubject(memo: ScheduleDescription['memo'], scheduleId: string): RunSubject | undefined {
  const refusal = refusalAmong([memo?.[SUBJECT_MEMO]], `the schedule ${scheduleId}`)
  if (refusal !== undefined) throw refusal
  return readSubject(memo?.[SUBJECT_MEMO])
}

function readWords(memo: unknown): ScheduleWords {
  if (typeof memo !== 'object' || memo === null) return {}
  const given = new Map(Object.entries(memo).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  return {
    cron: given.get('cron'),
    every: given.get('every'),
    jitter: given.get('jitter'),
    catchUp: given.get('catchUp'),
    timezone: given.get('timezone'),
  }
}

function intervalOf(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null || !('interval' in input)) return undefined
  return typeof input.interval === 'string' ? input.interval : undefined
}
