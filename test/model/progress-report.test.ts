import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeProgress, formatReport, parseProgress, parseProgressReport } from '../../model/progress-report.ts'

const GIB = 1024 ** 3
const copying = {
  bytesDone: 25.9 * GIB,
  bytesTotal: 41.2 * GIB,
  filesDone: 100,
  filesTotal: 214,
  bytesPerSecond: 412 * 1024 ** 2,
  secondsLeft: 39,
}
const report = { step: 'copyFiles', at: '2026-11-24T12:33:20.250Z', progress: copying }

describe('what is said of a copy', () => {
  test('is bytes, files, rate and time left', () => {
    expect(describeProgress(copying)).toEqual(['25.9/41.2 GiB', '100/214 files', '412 MiB/s', '39s left'])
  })

  test('has no rate and no time while nothing moves, and none at the end', () => {
    const standing = { ...copying, bytesPerSecond: 0, secondsLeft: null }
    expect(describeProgress(standing)).toEqual(['25.9/41.2 GiB', '100/214 files'])
    const done = { ...copying, bytesDone: copying.bytesTotal, filesDone: 214, secondsLeft: 0 }
    expect(describeProgress(done)).toEqual(['41.2/41.2 GiB', '214/214 files'])
  })

  test('tells a later reader when it was so, and until when it may take', () => {
    expect(formatReport(report)).toBe(
      'as of 12:33:20 UTC: 25.9/41.2 GiB, 100/214 files, 412 MiB/s, about 39s left (until 12:33 UTC)',
    )
    const long = { ...report, progress: { ...copying, secondsLeft: 12 * 3600 } }
    expect(formatReport(long)).toMatch(/about 12h00m left \(until 2026-11-25 00:33 UTC\)$/)
  })
})

describe('counters that come from elsewhere', () => {
  test('are read, also without a time left, which older agents do not send', () => {
    const { secondsLeft: _, ...older } = copying
    expect(parseProgressReport(report)).toEqual(report)
    expect(parseProgress(older)).toEqual({ ...copying, secondsLeft: null })
  })

  test.each([
    undefined,
    null,
    'copyFiles',
    42,
    [],
    {},
    { ...report, step: 7 },
    { ...report, at: 'yesterday' },
    { ...report, at: 12 },
    { ...report, progress: null },
    { ...report, progress: { ...copying, bytesDone: '1' } },
    { ...report, progress: { ...copying, bytesDone: -1 } },
    { ...report, progress: { ...copying, filesTotal: Number.NaN } },
  ])('are none, and no failure: %j', (given) => {
    expect(parseProgressReport(given)).toBeUndefined()
  })

  test('whatever they are, what is taken for a report can be written', () => {
    const number = fc.oneof(fc.nat(), fc.double({ noNaN: true, min: 0 }))
    const counters = fc.record(Object.fromEntries(Object.keys(copying).map((key) => [key, number])))
    const at = fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.oneof(fc.record({ step: fc.string(), at, progress: counters }), fc.anything()), (given) => {
        const parsed = parseProgressReport(given)
        if (parsed !== undefined) expect(formatReport(parsed)).toMatch(/^as of /)
      }),
    )
  })
})
