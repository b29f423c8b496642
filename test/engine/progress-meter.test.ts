import { describe, expect, test } from 'vitest'
import { ProgressMeter } from '../../engine/progress-meter.ts'
import type { Progress } from '../../model/runs.ts'

function meterAt(sizes: readonly number[]) {
  let now = 0
  const told: Progress[] = []
  const meter = new ProgressMeter(
    sizes,
    (progress) => told.push(progress),
    () => now,
  )
  const later = (milliseconds: number, bytes: number) => {
    now += milliseconds
    meter.addBytes(bytes)
    return meter.read()
  }
  return { meter, later, told }
}

describe('the rate', () => {
  test('is that of the last seconds, not of the whole', () => {
    const { meter, later } = meterAt([100_000])
    expect(later(0, 0).bytesPerSecond).toBe(0)
    for (let second = 0; second < 60; second++) later(1000, 1000)
    expect(later(1000, 1000).bytesPerSecond).toBe(1000)
    for (let second = 0; second < 5; second++) later(1000, 5000)
    expect(later(0, 0).bytesPerSecond).toBe(5000)
    meter[Symbol.dispose]()
  })

  test('falls to nothing when nothing moves', () => {
    const { meter, later } = meterAt([100_000])
    later(1000, 50_000)
    for (let second = 0; second < 6; second++) later(1000, 0)
    expect(later(0, 0)).toMatchObject({ bytesDone: 50_000, bytesPerSecond: 0 })
    meter[Symbol.dispose]()
  })

  test('is known within the first second', () => {
    const { meter, later } = meterAt([100_000])
    expect(later(500, 2000).bytesPerSecond).toBe(4000)
    meter[Symbol.dispose]()
  })
})

test('the last word is the state at the end', () => {
  const { meter, told } = meterAt([3, 4])
  meter.addBytes(7)
  meter.addFile()
  meter.addFile()
  meter[Symbol.dispose]()
  expect(told).toEqual([
    { bytesDone: 7, bytesTotal: 7, filesDone: 2, filesTotal: 2, bytesPerSecond: 0, secondsLeft: null },
  ])
})
