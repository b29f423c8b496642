import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAlias, uidOf } from '../../model/alias.ts'
import { backupNameOf, parseBackupName } from '../../model/backup-name.ts'
import { isError } from '../../model/errors.ts'
import { parseShardName, partsOf } from '../../model/shard-name.ts'

const cell = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,61}$/)
const uid = fc.nat({ max: 4_294_967_295 })
const alias = fc.tuple(cell, uid).map(([cell, uid]) => parseAlias(`${cell}-${uid}`))
const invalidInput = expect.objectContaining({ type: 'InvalidInput', hint: expect.any(String) })

function readsOrRefuses(read: (text: string) => unknown) {
  return (text: string) => {
    try {
      read(text)
    } catch (error) {
      expect(isError(error, 'InvalidInput')).toBe(true)
    }
  }
}

describe('an alias', () => {
  test('is the same short and whole, and keeps its number', () => {
    fc.assert(
      fc.property(cell, uid, (cell, uid) => {
        const whole = parseAlias(`${cell}-${uid}`)
        expect(whole).toBe(`${cell}-${String(uid).padStart(10, '0')}`)
        expect(parseAlias(whole)).toBe(whole)
        expect(uidOf(whole)).toBe(uid)
      }),
    )
  })

  test.each([
    '',
    'zone1',
    'zone1-',
    '-101',
    '101',
    'zone1-4294967296',
    'zone1-00000000101',
    'zone.1-101',
    'zone1-101 ',
    'zone1-101\n',
    '../zone1-101',
    'zone1/x-101',
    'zone1-1e3',
    'zone1-０',
  ])('%j is none', (text) => {
    expect(() => parseAlias(text)).toThrow(invalidInput)
  })

  test('any text is an alias or InvalidInput', () => {
    fc.assert(fc.property(fc.string(), readsOrRefuses(parseAlias)))
  })
})

describe('a shard name', () => {
  test.each([
    'commerce/0',
    'commerce/-',
    'commerce/-80',
    'commerce/80-',
    'commerce/40-80',
    'commerce/1e-20',
    'My_Key-space/shard_1',
    '0/0',
    `k/${'f'.repeat(32)}-${'f'.repeat(32)}`,
  ])('%j is one', (text) => {
    expect(parseShardName(text)).toBe(text)
  })

  test.each([
    '',
    '/',
    'commerce',
    'commerce/',
    '/0',
    'commerce/0/1',
    'commerce//0',
    'commerce/..',
    '../0',
    'commerce/.',
    'com.merce/0',
    'commerce/0.5',
    'commerce/0 ',
    'commerce/0\n',
    'commerce\\0',
    'commerce/0\0',
    'commérce/0',
    `${'k'.repeat(65)}/0`,
    `k/${'f'.repeat(66)}`,
  ])('%j is none', (text) => {
    expect(() => parseShardName(text)).toThrow(invalidInput)
  })

  test('its parts put together are the name', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
        fc.stringMatching(/^[A-Za-z0-9_-]{1,65}$/),
        (keyspace, shard) => {
          expect(partsOf(parseShardName(`${keyspace}/${shard}`))).toEqual({ keyspace, shard })
        },
      ),
    )
  })

  test('any text is a shard name or InvalidInput', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z./-]{0,12}$/)), readsOrRefuses(parseShardName)))
  })
})

describe('a backup name', () => {
  const time = fc.date({ min: new Date('2000-01-01'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })

  test('reads back as the alias and the second it was made of', () => {
    fc.assert(
      fc.property(alias, time, (alias, time) => {
        const name = backupNameOf(alias, time)
        const second = new Date(Math.floor(time.getTime() / 1000) * 1000)
        expect(parseBackupName(name)).toEqual({ name, alias, time: second })
      }),
    )
  })

  test('of one tablet sorts as its time does', () => {
    fc.assert(
      fc.property(alias, time, time, (alias, a, b) => {
        fc.pre(Math.abs(a.getTime() - b.getTime()) >= 1000)
        expect(backupNameOf(alias, a) < backupNameOf(alias, b)).toBe(a < b)
      }),
    )
  })

  test.each([
    '',
    'MANIFEST',
    '2026-11-24.143446',
    '2026-11-24.143446.zone1-101',
    '2026-11-24.143446.zone1-0000000101.x',
    '2026-02-30.143446.zone1-0000000101',
    '2026-11-24.240000.zone1-0000000101',
    '2026-11-24.146046.zone1-0000000101',
    '2026-11-24.143446.../x-0000000101',
    ' 2026-11-24.143446.zone1-0000000101',
  ])('%j is none', (text) => {
    expect(() => parseBackupName(text)).toThrow(invalidInput)
  })

  test('any text is a backup name or InvalidInput', () => {
    const alike = fc.stringMatching(/^\d{4}-\d\d-\d\d\.\d{6}\.z-\d{10}$/)
    fc.assert(fc.property(fc.oneof(fc.string(), alike), readsOrRefuses(parseBackupName)))
  })
})
