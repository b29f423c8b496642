import { expect, test } from 'vitest'
import { isError } from '../../model/errors.ts'
import { parseBackupInput, parseRestoreInput } from '../../workflows/input.ts'
import { SHARD, TABLET } from '../client/run-views.ts'

const subject = { shard: SHARD, tablet: TABLET }

test('what a backup is told is read as it was meant', () => {
  const input = { ...subject, allowPrimary: true, force: ['memory-tables', 'min-serving'] } as const
  expect(parseBackupInput(input)).toEqual({ ...input, agentTimeout: '1m' })
})

/** Whoever may start workflows may say anything. */
test.each([
  [{ allowPrimary: 'yes' }, 'allowPrimary'],
  [{ allowPrimary: 1 }, 'allowPrimary'],
  [{ force: 'min-serving' }, 'force'],
  [{ force: ['all'] }, 'force'],
  [{ force: [['min-serving']] }, 'force'],
  [{ replaceData: 'always' }, 'key'],
])('%j is refused', (given, named) => {
  const parse = () => parseBackupInput({ ...subject, ...(given as object) })
  expect(parse).toThrow(expect.objectContaining({ type: 'InvalidInput', message: expect.stringContaining(named) }))
  try {
    parse()
  } catch (error) {
    expect(isError(error, 'InvalidInput')).toBe(true)
  }
})

test('a restore is told a time with its zone', () => {
  const input = { ...subject, before: '2026-11-24T02:00:00Z' }
  expect(parseRestoreInput(input)).toEqual({ ...input, agentTimeout: '1m' })
})

test.each([['2026-11-24T02:00:00'], ['2026-11-24'], ['2026-02-31T00:00:00Z'], ['yesterday'], [1_764_000_000]])(
  'a restore before %j is refused',
  (before) => {
    const parse = () => parseRestoreInput({ ...subject, ...({ before } as object) })
    expect(parse).toThrow(
      expect.objectContaining({ type: 'InvalidInput', message: expect.stringContaining(String(before)) }),
    )
  },
)
