import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isError } from '../../model/errors.ts'
import { formatAmounts, formatBytes, formatDuration, parseDuration } from '../../model/units.ts'

describe('a duration', () => {
  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['15m', 900_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
  ])('%s is %i ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })

  test.each([
    '',
    '30',
    '10 sec',
    '30S',
    '-1s',
    '1.s',
    '.5s',
    '1e3s',
    '1h30m',
    ' 1s',
    '1s\n',
    '1w',
    `${'9'.repeat(20)}d`,
  ])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow(
      expect.objectContaining({ type: 'InvalidInput', hint: expect.any(String) }),
    )
  })

  test('any text is a whole number of milliseconds or InvalidInput', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,20}(\.\d{1,5})?(ms|s|m|h|d)$/)), (text) => {
        try {
          expect(Number.isSafeInteger(parseDuration(text))).toBe(true)
        } catch (error) {
          expect(isError(error, 'InvalidInput')).toBe(true)
        }
      }),
    )
  })

  test.each([
    [0, '0.0s'],
    [420, '0.4s'],
    [19_900, '19.9s'],
    [59_949, '59.9s'],
    [59_950, '1m00s'],
    [118_000, '1m58s'],
    [3_599_499, '59m59s'],
    [3_599_500, '1h00m'],
    [7_500_000, '2h05m'],
    [47 * 3_600_000, '47h00m'],
    [172_800_000, '2d0h'],
    [273_600_000, '3d4h'],
  ])('%i ms is shown as %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text)
  })
})

describe('bytes', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 KiB'],
    [1_024, '1.0 KiB'],
    [102_350, '100 KiB'],
    [980 * 1024, '980 KiB'],
    [44_238_211_482, '41.2 GiB'],
    [2 ** 50, '1.0 PiB'],
  ])('%i are shown as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  test('any count is shown in three or four digits, and right to 5 percent', () => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        const [amount = '', unit = ''] = formatBytes(bytes).split(' ')
        expect(amount).toMatch(/^(\d\.\d|\d\d\.\d|\d{1,3})$/)
        expect(Math.abs(Number(amount) * 1024 ** units.indexOf(unit) - bytes)).toBeLessThanOrEqual(bytes * 0.05)
      }),
    )
  })

  test('have their unit written once where it is the same', () => {
    const gib = 1024 ** 3
    expect(formatAmounts([41.2 * gib, 13.8 * gib], ' → ')).toBe('41.2 → 13.8 GiB')
    expect(formatAmounts([980 * 1024, 2 * gib], '/')).toBe('980 KiB/2.0 GiB')
  })
})
