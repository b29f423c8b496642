import { describe, expect, test } from 'vitest'
import { PartPlan, PieceCursor } from '../../storage/s3/parts.ts'
import { ofType } from './store-under-test.ts'

const MIB = 1024 ** 2
const TIB = 1024 ** 4

const DEFAULTS = { partSize: 8 * MIB, maxParts: 10_000, equalParts: false }

describe('parts of an object', () => {
  test('reach 5 TiB in 10,000, none of which needs more than 16 MiB of memory', () => {
    const plan = new PartPlan(DEFAULTS)
    expect(plan.largest).toBe(16 * MIB)
    expect(plan.capacity).toBeGreaterThanOrEqual(5 * TIB)
    const { pieces, bytes } = cutAll(plan)
    expect(bytes).toBe(plan.capacity)
    expect(pieces.filter(({ size }) => size > 16 * MIB)).toEqual([])
    expect(pieces.filter(({ number, inner = 0 }) => number > 10_000 || inner > 10_000)).toEqual([])
  })

  test('are never smaller than S3 takes, but for the last of a segment', () => {
    for (const partSize of [5, 7, 64, 512]) {
      const { pieces } = cutAll(new PartPlan({ ...DEFAULTS, partSize: partSize * MIB, maxParts: 1000 }))
      expect(pieces.filter(({ size, fills }) => size < 5 * MIB && !fills)).toEqual([])
    }
  })

  test('are fewer where a store takes only 1,000, and still reach 2 TiB', () => {
    const plan = new PartPlan({ ...DEFAULTS, maxParts: 1000 })
    expect(plan.capacity).toBeGreaterThan(2 * TIB)
    expect(cutAll(plan).bytes).toBe(plan.capacity)
  })

  test('are equal where a store wants it, and the object that has no room is refused with what to set', () => {
    const plan = new PartPlan({ partSize: 64 * MIB, maxParts: 1000, equalParts: true })
    const { pieces, bytes } = cutAll(plan)
    expect(new Set(pieces.map(({ size }) => size))).toEqual(new Set([64 * MIB]))
    expect(bytes).toBe(64_000 * MIB)
    const cursor = new PieceCursor(plan, 'k/0/a/7', 1001)
    expect(() => cursor.size).toThrow(ofType('InvalidConfig'))
    expect(() => cursor.size).toThrow(/k\/0\/a\/7 is larger than 67108864000 bytes/)
  })

  test('go on in the middle of a segment', () => {
    const plan = new PartPlan(DEFAULTS)
    const cursor = new PieceCursor(plan, 'a', 9_000, { parts: 319, bytes: 319 * 16 * MIB })
    expect(cursor.next(cursor.size)).toEqual({ number: 9_000, inner: 320, fills: true })
    expect(cursor.next(cursor.size)).toEqual({ number: 9_001, inner: 1, fills: false })
  })
})

/** All pieces of the largest object that a plan has room for. */
function cutAll(plan: PartPlan) {
  const cursor = new PieceCursor(plan, 'a')
  const pieces = []
  let bytes = 0
  while (bytes < plan.capacity) {
    const { size } = cursor
    pieces.push({ size, ...cursor.next(size) })
    bytes += size
  }
  expect(() => cursor.size).toThrow(ofType('InvalidConfig'))
  return { pieces, bytes }
}
