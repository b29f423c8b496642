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

test('that a store finishes what it has is told for as long as any work waits for it, also for work that fails', async () => {
  const told: boolean[] = []
  const meter = new ProgressMeter([], (_progress, isSettling) => told.push(isSettling))
  const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  const works = [meter.settling(() => first.promise), meter.settling(() => second.promise)] as const
  meter[Symbol.dispose]()
  first.resolve('whole')
  expect(await works[0]).toBe('whole')
  meter[Symbol.dispose]()
  second.reject(new Error('the store said no'))
  await expect(works[1]).rejects.toThrow('the store said no')
  meter[Symbol.dispose]()
  expect(told).toEqual([true, true, false])
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
