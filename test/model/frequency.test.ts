import { describe, expect, test } from 'vitest'
import { judgeFrequency } from '../../model/frequency.ts'
import { GtidSet } from '../../model/gtid-set.ts'

const SID = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const upTo = (number: number) => GtidSet.parse(`${SID}:1-${number}`)
const DAY = 86_400

describe('backups are frequent enough', () => {
  test('when the newest reaches what the binary logs still hold, and the logs outlive the schedule by two days', () => {
    const facts = {
      newestPosition: upTo(500),
      primaryPurged: upTo(500),
      binlogRetentionSeconds: 3 * DAY,
      scheduleIntervalSeconds: DAY,
    }
    expect(judgeFrequency(facts)).toMatchObject({ verdict: 'OK' })
  })

  test('when binary logs are kept for ever, or nothing is scheduled', () => {
    const facts = {
      newestPosition: upTo(500),
      primaryPurged: upTo(10),
      binlogRetentionSeconds: 0,
      scheduleIntervalSeconds: 30 * DAY,
    }
    expect(judgeFrequency(facts)).toMatchObject({ verdict: 'OK' })
    expect(
      judgeFrequency({ newestPosition: upTo(500), primaryPurged: upTo(10), binlogRetentionSeconds: DAY }),
    ).toMatchObject({ verdict: 'OK' })
  })
})

describe('backups are not frequent enough', () => {
  test('FAILED when the primary purged what the newest backup lacks', () => {
    const facts = { newestPosition: upTo(500), primaryPurged: upTo(501), binlogRetentionSeconds: 0 }
    expect(judgeFrequency(facts)).toMatchObject({
      verdict: 'FAILED',
      message: expect.stringContaining('1 transaction'),
    })
  })

  test('WARN when two failed nights would be too many', () => {
    const facts = {
      newestPosition: upTo(500),
      primaryPurged: upTo(1),
      binlogRetentionSeconds: 3 * DAY - 1,
      scheduleIntervalSeconds: DAY,
    }
    expect(judgeFrequency(facts)).toMatchObject({ verdict: 'WARN', hint: expect.stringContaining('259200') })
  })

  test('FAILED when there is no backup and the binary logs do not hold everything, else WARN', () => {
    const facts = { newestPosition: undefined, primaryPurged: upTo(1), binlogRetentionSeconds: 0 }
    expect(judgeFrequency(facts)).toMatchObject({ verdict: 'FAILED' })
    expect(judgeFrequency({ ...facts, primaryPurged: GtidSet.EMPTY })).toMatchObject({ verdict: 'WARN' })
  })
})
