import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { median, shuffled, spreadOf } from '../../bench/statistics.ts'

const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 })

describe('statistics of rounds', () => {
  test('the median is the middle one, whatever the order', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([10, 9])).toBe(9.5)
    expect(() => median([])).toThrow(RangeError)
  })

  test('as many values are below the median as above it', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const middle = median(values)
        const below = values.filter((value) => value < middle).length
        const above = values.filter((value) => value > middle).length
        expect(below).toBeLessThanOrEqual(values.length / 2)
        expect(above).toBeLessThanOrEqual(values.length / 2)
      }),
    )
  })

  test('the spread holds every value', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
  })

  test('shuffling keeps every item, and every order can come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (items) => {
        expect(shuffled(items).toSorted()).toEqual(items.toSorted())
      }),
    )
    const orders = new Set(Array.from({ length: 400 }, () => shuffled(['a', 'b', 'c']).join('')))
    expect(orders.size).toBe(6)
  })
})
