import { describe, expect, it } from 'vitest'
import { judgeSchedules } from '../../client/checks/frequency.ts'
import type { ScheduleReport } from '../../client/schedule-report.ts'
import { SHARD, TABLET } from './run-views.ts'

const NOW = new Date('2026-11-25T08:00:00Z')
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000)

/** Daily, for a month. */
function aSchedule(changes: Partial<ScheduleReport> = {}): ScheduleReport {
  return {
    shard: SHARD,
    tablet: TABLET,
    every: '24h',
    interval: '24h',
    createdAt: daysAgo(30),
    paused: false,
    note: '',
    nextRuns: [],
    lastRuns: [{ workflowId: 'backup/of/last/night', startedAt: daysAgo(0.3) }],
    runningNow: [],
    skipped: 0,
    missed: 0,
    ...changes,
  }
}

describe('of schedules whose backups do not come', () => {
  it('each is a warning, with where to look', () => {
    const weekly = aSchedule({ every: '7d', interval: '7d' })
    expect(judgeSchedules([aSchedule(), weekly], daysAgo(5), NOW)).toEqual([
      {
        verdict: 'WARN',
        subject: SHARD,
        message: 'the newest backup is 5d0h old, though they run every 24h00m',
        hint: `tabletkeeper schedule show ${TABLET}; what came of its last run: tabletkeeper status backup/of/last/night`,
      },
    ])
  })

  it('that never started one, where to look is shorter', () => {
    expect(judgeSchedules([aSchedule({ lastRuns: [] })], undefined, NOW)).toMatchObject([
      { message: expect.stringContaining('no scheduled backup'), hint: `tabletkeeper schedule show ${TABLET}` },
    ])
  })

  it('nothing is said when they are paused, new, or late by their jitter', () => {
    const schedules = [
      aSchedule({ paused: true }),
      aSchedule({ createdAt: daysAgo(1) }),
      aSchedule({ jitter: '5d', interval: '6d' }),
    ]
    expect(judgeSchedules(schedules, daysAgo(5), NOW)).toEqual([])
  })
})
