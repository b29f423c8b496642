import type { ScheduleReport } from '../schedule-report.ts'
import { formatTime } from './clock.ts'
import type { Column } from './table.ts'
import type { Paint } from './terminal.ts'

export const SCHEDULE_COLUMNS: readonly Column[] = [
  { title: 'TABLET' },
  { title: 'SHARD' },
  { title: 'WHEN' },
  { title: 'NEXT' },
  { title: 'LAST' },
  { title: 'STATE' },
]

/** The schedule as a row of `SCHEDULE_COLUMNS`. */
export function scheduleRow(report: ScheduleReport): string[] {
  const [next] = report.nextRuns
  const last = report.lastRuns.at(-1)
  return [
    report.tablet,
    report.shard,
    whenOf(report),
    next === undefined ? '-' : formatTime(next),
    last === undefined ? 'never' : formatTime(last.startedAt),
    stateOf(report),
  ]
}

/** Everything about one schedule, a fact a line. */
export function renderSchedule(report: ScheduleReport, paint: Paint): string[] {
  const { tablet, shard, nextRuns, lastRuns, catchUp, jitter, skipped, missed, note } = report
  const last = lastRuns.at(-1)
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['when', `${whenOf(report)}${jitter === undefined ? '' : `, up to ${jitter} later`}`],
    ['state', `${stateOf(report)}${note === '' ? '' : ` (${note})`}`],
    ['next', nextRuns.length === 0 ? undefined : nextRuns.slice(0, 3).map(formatTime).join(', ')],
    ['last', last === undefined ? 'never' : `${formatTime(last.startedAt)}  ${last.workflowId}`],
    ['catch up', catchUp === undefined ? undefined : `a start missed by an outage is made up for within ${catchUp}`],
    ['left out', skipped + missed === 0 ? undefined : `${skipped} while one still ran, ${missed} missed by an outage`],
  ]
  return [
    paint.strong(`${tablet} of ${shard}`),
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)} ${value}`])),
  ]
}

/** The schedule as `--json` shows it. */
export function scheduleDocument(report: ScheduleReport) {
  const { tablet, shard, cron, every, timezone, jitter, catchUp, interval } = report
  return {
    tablet,
    shard,
    cron: cron ?? null,
    timezone: timezone ?? null,
    every: every ?? null,
    jitter: jitter ?? null,
    catchUp: catchUp ?? null,
    interval: interval ?? null,
    createdAt: report.createdAt,
    paused: report.paused,
    note: report.note,
    nextRuns: report.nextRuns,
    lastRuns: report.lastRuns,
    runningNow: report.runningNow,
    skipped: report.skipped,
    missed: report.missed,
  }
}

function whenOf({ cron, every, timezone }: ScheduleReport): string {
  if (every !== undefined) return `every ${every}`
  return cron === undefined ? 'see Temporal' : `cron ${cron} ${timezone ?? 'UTC'}`
}

function stateOf({ paused, runningNow }: ScheduleReport): string {
  if (paused) return 'paused'
  return runningNow.length > 0 ? 'active, running' : 'active'
}
