import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isError } from '../../model/errors.ts'
import { GtidSet } from '../../model/gtid-set.ts'
import { parsePosition, positionOf, storedPositionOf } from '../../model/position.ts'

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const B = '98880065-e813-11f1-976c-02fc00000001'

/** Small universes, so that sets overlap, touch and leave gaps all the time. */
const universe = fc
  .tuple(fc.constantFrom(A, `${A}:errand`, `${A}:_2`, B, `${B}:errand`), fc.integer({ min: 1, max: 12 }))
  .map(([source, number]) => `${source}:${number}`)
const transactions = fc.uniqueArray(universe)
const asSet = (gtids: readonly string[]) => GtidSet.parse(gtids.join(','))

describe('a GTID set is the set of its transactions', () => {
  test('union, subtract, contains, equals, count and isEmpty agree with plain sets', () => {
    fc.assert(
      fc.property(transactions, transactions, (left, right) => {
        const [a, b] = [asSet(left), asSet(right)]
        const onlyLeft = left.filter((gtid) => !right.includes(gtid))
        const onlyRight = right.filter((gtid) => !left.includes(gtid))
        expect(a.union(b).toString()).toBe(asSet([...left, ...onlyRight]).toString())
        expect(a.subtract(b).toString()).toBe(asSet(onlyLeft).toString())
        expect(a.contains(b)).toBe(onlyRight.length === 0)
        expect(a.equals(b)).toBe(onlyLeft.length + onlyRight.length === 0)
        expect(a.count()).toBe(BigInt(left.length))
        expect(a.isEmpty).toBe(left.length === 0)
        expect(a.isTagged).toBe(left.some((gtid) => /:[a-z_]/.test(gtid)))
      }),
    )
  })

  test('what it prints reads back as the same set and prints the same', () => {
    fc.assert(
      fc.property(transactions, (list) => {
        const text = asSet(list).toString()
        expect(GtidSet.parse(text).toString()).toBe(text)
        expect(parsePosition(positionOf(asSet(list))).toString()).toBe(text)
      }),
    )
  })

  test('operations leave their operands as they were', () => {
    const a = GtidSet.parse(`${A}:1-5`)
    const b = GtidSet.parse(`${A}:3-9`)
    a.union(b)
    a.subtract(b)
    expect([`${a}`, `${b}`]).toEqual([`${A}:1-5`, `${A}:3-9`])
  })
})

describe('reading', () => {
  test.each([
    ['', ''],
    ['  \n ', ''],
    [`${A}:1-5`, `${A}:1-5`],
    [`${A}:7`, `${A}:7`],
    [`${A}:7-7`, `${A}:7`],
    [`${B}:1-3,\n${A}:1-5`, `${A}:1-5,${B}:1-3`],
    [`${A.toUpperCase()}:1-5`, `${A}:1-5`],
    [`${A}:4-5:1-3`, `${A}:1-5`],
    [`${A}:1-9:3-4`, `${A}:1-9`],
    [`${A}:1-2:4-5`, `${A}:1-2:4-5`],
    [`${A}:1-2,${A}:3`, `${A}:1-3`],
    [`${A}:1-3,,`, `${A}:1-3`],
    [`${A}:5-2`, ''],
    [`${A}:1-9223372036854775806`, `${A}:1-9223372036854775806`],
    [`${A}:errand:1-5`, `${A}:errand:1-5`],
    [`${A}:Nightly_2:1-5:4-7,${A}:1-3`, `${A}:1-3:nightly_2:1-7`],
    [`${A}:b:1:3-4:a:2,${B}:9,${A}:b:2`, `${A}:a:2:b:1-4,${B}:9`],
    [`${A}:a:5-2`, ''],
  ])('%j is %j', (text, printed) => {
    expect(GtidSet.parse(text).toString()).toBe(printed)
  })

  test('numbers beyond 2^53 stay exact', () => {
    const set = GtidSet.parse(`${A}:9007199254740993-9223372036854775806`)
    expect(set.subtract(GtidSet.parse(`${A}:9007199254740993`)).toString()).toBe(
      `${A}:9007199254740994-9223372036854775806`,
    )
    expect(GtidSet.parse(`${A}:1-9223372036854775806`).count()).toBe(9223372036854775806n)
  })

  test.each([
    A,
    `${A}:`,
    `${A}:0`,
    `${A}:1-`,
    `${A}:-5`,
    `${A}:1-9223372036854775807`,
    `${A}:1--5`,
    `${A}:1.5`,
    'zone1:1-5',
    `${A.slice(1)}:1`,
    `${A.replaceAll('-', '')}:1`,
    `{${A}}:1`,
    `${A}:tag`,
    `${A}:1:tag`,
    `${A}:tag:other:1`,
    `${A}:2tag:1`,
    `${A}:${'t'.repeat(33)}:1`,
  ])('%j is InvalidInput', (text) => {
    expect(() => GtidSet.parse(text)).toThrow(expect.objectContaining({ type: 'InvalidInput' }))
  })

  test('any text is a set or InvalidInput', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:,\n -]{0,90}$/), fc.constantFrom(A, `${A}:`, `${A}:tag:`)),
        (text) => {
          try {
            GtidSet.parse(text)
          } catch (error) {
            expect(isError(error, 'InvalidInput')).toBe(true)
          }
        },
      ),
    )
  })
})

describe('a position', () => {
  test('is a flavor and a set; without a flavor it is MySQL', () => {
    expect(parsePosition(`MySQL56/${A}:1-5`).toString()).toBe(`${A}:1-5`)
    expect(parsePosition(`${A}:1-5`).toString()).toBe(`${A}:1-5`)
    expect(parsePosition('MySQL56/').isEmpty).toBe(true)
    expect(positionOf(GtidSet.EMPTY)).toBe('MySQL56/')
  })

  test('that is stored holds no tagged GTIDs, which Vitess does not read', () => {
    expect(storedPositionOf(GtidSet.parse(`${A}:1-5`))).toBe(`MySQL56/${A}:1-5`)
    expect(() => storedPositionOf(GtidSet.parse(`${A}:1-5:tag:1`))).toThrow(
      expect.objectContaining({ type: 'Refused', message: expect.stringContaining('tagged GTIDs') }),
    )
  })

  test.each(['', 'MariaDB/0-1-2', 'FilePos/mysql-bin.000001:4', 'mysql56/', '/', 'MySQL56/MySQL56/'])(
    '%j is InvalidInput',
    (text) => {
      expect(() => parsePosition(text)).toThrow(expect.objectContaining({ type: 'InvalidInput' }))
    },
  )
})
