import { describe, expect, test } from 'vitest'
import { parseBackupName } from '../../model/backup-name.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { DamagedBackup, isSound, isVerifyResult, type VerifyResult } from '../../model/verification.ts'

const sound: VerifyResult = {
  shard: parseShardName('commerce/0'),
  backup: parseBackupName('2026-11-24.023000.zone1-0000000101').name,
  files: 214,
  dataBytes: 41,
  storedBytes: 13,
  damagedObjects: 0,
  firstDamagedObjects: [],
  damagedPages: 0,
  firstDamagedPages: [],
  warnings: [],
  seconds: 61,
}
const objects = Array.from({ length: 12 }, (_, index) => ({
  object: `commerce/0/x/${index}`,
  file: `commerce/t${index}.ibd`,
  reason: `commerce/0/x/${index} is missing in storage`,
}))

describe('a backup that is not sound', () => {
  test('is told with its objects, and what to do about them', () => {
    const { type, message, hint } = new DamagedBackup({
      ...sound,
      damagedObjects: 1,
      firstDamagedObjects: objects.slice(0, 1),
    })
    expect(type).toBe('CorruptBackup')
    expect(message.split('\n')).toEqual([
      'the backup 2026-11-24.023000.zone1-0000000101 is not sound: 1 of its 214 objects is damaged',
      'commerce/0/x/0 is missing in storage (commerce/t0.ibd)',
    ])
    expect(hint).toContain('tabletkeeper backup commerce/0')
  })

  test('is told with its pages, each with where it was damaged', () => {
    const pages = (['tablet', 'storage', 'unknown'] as const).map((origin, page) => ({ file: 't.ibd', page, origin }))
    const { message } = new DamagedBackup({ ...sound, damagedPages: 3, firstDamagedPages: pages })
    expect(message.split('\n')).toEqual([
      'the backup 2026-11-24.023000.zone1-0000000101 is not sound: 3 pages of InnoDB are damaged',
      "t.ibd page 0: stored as it was read: the tablet's own page was damaged",
      't.ibd page 1: damaged in storage, as its object is',
      't.ibd page 2: its object is as it was stored, but the copy saw no damage: suspect the memory of a host',
    ])
  })

  test('is not blamed on the storage when only the tablet was damaged', () => {
    const pages = [{ file: 't.ibd', page: 7, origin: 'tablet' }] as const
    const { hint } = new DamagedBackup({ ...sound, damagedPages: 1, firstDamagedPages: pages })
    expect(hint).toMatch(/^Everything is as it was stored\./)
  })

  test('is told with the first ten of many', () => {
    const { message } = new DamagedBackup({ ...sound, damagedObjects: 99, firstDamagedObjects: objects })
    expect(message.split('\n')).toHaveLength(12)
    expect(message).toMatch(/… and 89 more$/)
  })
})

test('a backup is sound without damaged objects and pages, and only then', () => {
  expect(isSound(sound)).toBe(true)
  expect(isSound({ ...sound, damagedObjects: 1 })).toBe(false)
  expect(isSound({ ...sound, damagedPages: 1 })).toBe(false)
})

test('what is no result of a verification is not taken for one', () => {
  expect(isVerifyResult(JSON.parse(JSON.stringify(sound)))).toBe(true)
  for (const odd of [undefined, null, 'x', {}, { ...sound, files: '214' }, { ...sound, firstDamagedPages: {} }])
    expect(isVerifyResult(odd)).toBe(false)
})
