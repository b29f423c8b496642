import { describe, expect, test } from 'vitest'
import { lastRestartGap } from '../../bench/restart-gap.ts'

const START = (time: string) =>
  `2026-11-25T15:40:${time}Z 0 [System] [MY-010116] [Server] /usr/sbin/mysqld (mysqld 9.7.4) starting as process 4711`
const READY = (time: string) =>
  `2026-11-25T15:40:${time}Z 0 [System] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections.`
const STOPPED = (time: string) =>
  `2026-11-25T15:40:${time}Z 0 [System] [MY-010910] [Server] /usr/sbin/mysqld: Shutdown complete (mysqld 9.7.4)  MySQL.`

describe('the time between two mysqlds', () => {
  test("is from the end of one to the beginning of the next, to mysqld's microseconds", () => {
    const log = [START('01.000000'), READY('02.000000'), STOPPED('05.100200'), START('05.500100'), READY('06.900000')]
    expect(lastRestartGap(log.join('\n'))).toBeCloseTo(0.3999, 6)
  })

  test('is that of the last restart', () => {
    const log = [
      STOPPED('05.000000'),
      START('09.000000'),
      STOPPED('12.000000'),
      START('12.250000'),
      STOPPED('40.000000'),
    ]
    expect(lastRestartGap(log.join('\n'))).toBeCloseTo(0.25, 6)
  })

  test('is not made up where there was none', () => {
    expect(() => lastRestartGap([START('01.000000'), STOPPED('05.000000')].join('\n'))).toThrow(/no stop with a start/)
  })
})
