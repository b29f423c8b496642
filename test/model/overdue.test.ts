import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeOverdue } from '../../model/overdue.ts'

const HOUR = 3_600
const DAY = 24 * HOUR
const NOW = new Date('2026-11-25T02:00:00Z')
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1000)
const daily = { intervalSeconds: DAY, jitterSeconds: 0, scheduledSince: ago(30 * DAY), now: NOW }

describe('backups of a schedule do not come', () => {
  test.each([
    [
      'the newest is older than its interval and half of that',
      { newestAt: ago(5 * DAY) },
      'the newest backup is 5d0h old, though they run every 24h00m',
    ],
    [
      'there is none at all',
      { newestAt: undefined, scheduledSince: ago(2 * DAY) },
      'no scheduled backup has succeeded yet, though they have run every 24h00m for 2d0h',
    ],
    [
      'an hour of slack is over',
      { newestAt: ago(70 * 60 + 1), intervalSeconds: 600 },
      'the newest backup is 1h10m old, though they run every 10m00s',
    ],
  ])('%s', (_when, facts, message) => {
    expect(judgeOverdue({ ...daily, ...facts })).toEqual({ verdict: 'WARN', message })
  })
})

describe('backups of a schedule come, as far as anybody can tell', () => {
  test.each([
    ['the newest is younger', { newestAt: ago(36 * HOUR) }],
    ['the newest is late by jitter', { newestAt: ago(40 * HOUR), jitterSeconds: 4 * HOUR }],
    ['they take up to an hour longer than last time', { newestAt: ago(70 * 60), intervalSeconds: 600 }],
    [
      'the schedule was made after the newest, and none is due yet',
      { newestAt: ago(300 * DAY), scheduledSince: ago(DAY) },
    ],
    ['the schedule was just made, and there is none', { newestAt: undefined, scheduledSince: ago(60) }],
  ])('%s', (_when, facts) => {
    expect(judgeOverdue({ ...daily, ...facts })).toBeUndefined()
  })

  test('what is overdue stays so until there is another backup', () => {
    const seconds = fc.integer({ min: 1, max: 100 * DAY })
    const newest = fc.option(seconds, { nil: undefined })
    fc.assert(
      fc.property(newest, seconds, seconds, seconds, seconds, (done, since, intervalSeconds, jitterSeconds, later) => {
        const newestAt = done === undefined ? undefined : ago(done)
        const facts = { newestAt, scheduledSince: ago(since), intervalSeconds, jitterSeconds, now: NOW }
        const isOverdue = judgeOverdue(facts) !== undefined
        const then = new Date(NOW.getTime() + later * 1000)
        expect(isOverdue && judgeOverdue({ ...facts, now: then }) === undefined).toBe(false)
        expect(judgeOverdue({ ...facts, now: then, newestAt: then })).toBeUndefined()
      }),
    )
  })
})
