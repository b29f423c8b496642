import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { forAll } from '../../storage/for-all.ts'

test('keeps the order of the items, and is at work on so many at a time', async () => {
  let [now, most] = [0, 0]
  const doubled = await forAll([30, 20, 10, 1, 0], 2, async (item) => {
    most = Math.max(most, ++now)
    await delay(item)
    now--
    return item * 2
  })
  expect({ doubled, most }).toEqual({ doubled: [60, 40, 20, 2, 0], most: 2 })
})

test('has nothing at work any more when it fails, and begins nothing after a failure', async () => {
  const [begun, ended]: [number[], number[]] = [[], []]
  const failing = forAll([0, 1, 2, 3], 3, async (item) => {
    begun.push(item)
    if (item === 0) throw new Error('the first')
    await delay(20)
    ended.push(item)
    if (item === 1) throw new Error('the second')
  })
  await expect(failing).rejects.toThrow('the first')
  expect({ begun, ended }).toEqual({ begun: [0, 1, 2], ended: [1, 2] })
})
