import { describe, expect, it } from 'vitest'
import { parseTime } from '../../model/time.ts'

describe('a time', () => {
  it.each([
    ['2026-11-24T02:30:00Z', '2026-11-24T02:30:00.000Z'],
    ['2026-11-24T02:30Z', '2026-11-24T02:30:00.000Z'],
    ['2026-11-24 02:30:15+05:30', '2026-11-23T21:00:15.000Z'],
    ['2026-11-24T02:30:00.125-08:00', '2026-11-24T10:30:00.125Z'],
    ['2024-02-29T23:59:59+00:00', '2024-02-29T23:59:59.000Z'],
    ['2026-12-31T23:30:00-01:00', '2027-01-01T00:30:00.000Z'],
  ])('%s is read as it was meant', (text, utc) => {
    expect(parseTime(text).toISOString()).toBe(utc)
  })

  it.each([
    '2026-11-24T02:30:00',
    '2026-11-24',
    '24 Nov 2026 02:30 UTC',
    '2026-11-24T02:30:00+0530',
    '2026-11-24T02:30:00+24:00',
    '2026-11-24T02:30.5Z',
    '',
  ])('%j is refused: it is none, or says no zone', (text) => {
    expect(() => parseTime(text)).toThrow(
      expect.objectContaining({ type: 'InvalidInput', message: `${JSON.stringify(text)} is not a time with its zone` }),
    )
  })

  it.each([
    '2026-02-31T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-24T24:00:00Z',
    '2026-11-24T02:60:00Z',
    '2026-11-24T02:30:60Z',
  ])('%s is refused: there is no such time', (text) => {
    expect(() => parseTime(text)).toThrow(
      expect.objectContaining({ type: 'InvalidInput', message: expect.stringContaining(`there is no "${text}"`) }),
    )
  })
})
