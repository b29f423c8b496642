import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertCompatible } from '../../model/compatibility.ts'

const mysql = (release: string) => `Ver ${release} MySQL Community Server - GPL`
const percona = (release: string) => `Ver ${release} Percona Server (GPL), Release 27`

describe('a backup can be restored', () => {
  test.each([
    ['the very same version', mysql('9.7.4'), mysql('9.7.4'), false],
    ['the same release of another packager', 'Ver 9.7.4-2 (Debian)', mysql('9.7.4'), false],
    ['a later patch', mysql('9.7.4'), mysql('9.7.5'), false],
    ['an earlier patch', mysql('8.4.7'), mysql('8.4.2'), false],
    ['either way from 8.0.35 on', mysql('8.0.42'), mysql('8.0.35'), false],
    ['a later patch before 8.0.35, when upgrade-safe', mysql('8.0.30'), mysql('8.0.34'), true],
    ['one series up, when upgrade-safe', mysql('8.0.42'), mysql('8.4.2'), true],
    ['one series up from 5.7, when upgrade-safe', mysql('5.7.44'), mysql('8.0.42'), true],
    ['the same flavor', percona('8.0.42-33'), percona('8.0.43-34'), false],
    ['a version without its prefix', '9.7.4', '9.7.4-2', false],
  ])('to %s', (_, backup, server, upgradeSafe) => {
    expect(() => assertCompatible(backup, upgradeSafe, server)).not.toThrow()
  })
})

describe('a backup is refused', () => {
  test.each([
    ['another flavor', percona('8.0.42-33'), mysql('8.0.42'), true, /Percona and MySQL differ/],
    ['MariaDB', 'Ver 10.11.6-MariaDB Debian', mysql('10.11.6'), true, /MariaDB and MySQL/],
    ['an earlier patch before 8.0.35', mysql('8.0.34'), mysql('8.0.33'), true, /older than the data/],
    ['an earlier patch across 8.0.35', mysql('8.0.36'), mysql('8.0.34'), true, /older than the data/],
    ['a later patch before 8.0.35', mysql('8.0.30'), mysql('8.0.34'), false, /innodb_fast_shutdown=0/],
    ['a later patch across 8.0.35', mysql('8.0.30'), mysql('8.0.36'), false, /innodb_fast_shutdown=0/],
    ['one series up', mysql('8.0.42'), mysql('8.4.2'), false, /innodb_fast_shutdown=0/],
    ['two series up', mysql('5.7.44'), mysql('8.4.2'), true, /no step from 5.7 to 8.4/],
    ['from 8.4 to the next one, as in Vitess', mysql('8.4.2'), mysql('9.7.4'), true, /no step from 8.4 to 9.7/],
    ['a series down', mysql('8.4.2'), mysql('8.0.42'), true, /no step from 8.4 to 8.0/],
    ['an unknown server', mysql('9.7.4'), '', true, /server is not known/],
    ['an unknown backup, even to an unknown server', '', '', true, /does not say/],
    ['a backup that does not say its version', '', mysql('9.7.4'), true, /does not say/],
  ])('%s', (_, backup, server, upgradeSafe, reason) => {
    expect(() => assertCompatible(backup, upgradeSafe, server)).toThrow(
      expect.objectContaining({
        type: 'IncompatibleVersion',
        message: expect.stringMatching(reason),
        hint: expect.any(String),
      }),
    )
  })
})

test('what can be restored as it is can also be restored when it is upgrade-safe', () => {
  const release = fc
    .constantFrom('5.7.44', '8.0.30', '8.0.34', '8.0.35', '8.0.42', '8.4.2', '8.4.7', '9.7.4', '9.7.5')
    .map(mysql)
  const allows = (...given: Parameters<typeof assertCompatible>) => {
    try {
      assertCompatible(...given)
      return true
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(release, release, (from, to) => {
      expect(!allows(from, false, to) || allows(from, true, to)).toBe(true)
    }),
  )
})
