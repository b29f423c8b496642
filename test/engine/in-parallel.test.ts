import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inParallel } from '../../engine/pool/in-parallel.ts'

const never = new AbortController().signal

test('everything is worked on once, in order, and never more at once than asked for', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(20), fc.integer({ min: 1, max: 6 }), async (count, concurrency) => {
      const items = Array.from({ length: count }, (_, index) => index)
      const begun: number[] = []
      let atWork = 0
      await inParallel(items, concurrency, never, async (item) => {
        begun.push(item)
        expect(++atWork).toBeLessThanOrEqual(concurrency)
        for (let turn = 0; turn <= (item * 7) % 4; turn++) await nextTurn()
        atWork -= 1
      })
      expect(begun).toEqual(items)
      expect(atWork).toBe(0)
    }),
  )
})

test('the first failure stops the rest, and is thrown when nothing is at work any more', async () => {
  const begun: number[] = []
  let atWork = 0
  const failure = new Error('third')
  const work = inParallel([0, 1, 2, 3, 4, 5, 6, 7], 3, never, async (item, signal) => {
    begun.push(item)
    atWork += 1
    await nextTurn()
    atWork -= 1
    if (item === 2) throw failure
    if (signal.aborted) throw new Error(`stopped because of ${signal.reason}`)
  })
  await expect(work).rejects.toBe(failure)
  expect(atWork).toBe(0)
  expect(begun).not.toContain(7)
})

test('a cancel is thrown as it is, though what it stopped fails too', async () => {
  const controller = new AbortController()
  const reason = new Error('cancelled')
  const work = inParallel([0, 1, 2], 2, controller.signal, async (_, signal) => {
    await nextTurn()
    controller.abort(reason)
    signal.throwIfAborted()
    throw new Error('a consequence')
  })
  await expect(work).rejects.toBe(reason)
})
