import { expect, test } from 'vitest'
import { PartMemory } from '../../storage/bucket/part-memory.ts'

const MIB = 1024 ** 2

test('a buffer is waited for while others are on their way, and used again', async () => {
  const memory = new PartMemory(2 * MIB)
  const first = await memory.take(MIB)
  const second = await memory.take(MIB)
  const sent = Promise.withResolvers<void>()
  const sending = memory.send(first, () => sent.promise)
  const waiting = memory.take(MIB)
  expect(await settled(waiting)).toBe(false)
  sent.resolve()
  await sending
  expect(await waiting).toBe(first)
  memory.drop(second)
})

test('nobody waits for ever: while nothing is on its way, each object gets its buffer', async () => {
  const memory = new PartMemory(2 * MIB)
  const collecting = [await memory.take(MIB), await memory.take(MIB), await memory.take(MIB)]
  expect(collecting.map((buffer) => buffer.length)).toEqual([MIB, MIB, MIB])
})

test('those who wait get their buffers when the last that was on its way has failed', async () => {
  const memory = new PartMemory(MIB)
  const broken = Promise.withResolvers<void>()
  const sending = memory.send(await memory.take(MIB), () => broken.promise)
  const waiting = [memory.take(MIB), memory.take(MIB)]
  expect(await settled(Promise.all(waiting))).toBe(false)
  broken.reject(new Error('reset'))
  await expect(sending).rejects.toThrow('reset')
  expect(await Promise.all(waiting)).toHaveLength(2)
})

test('a buffer whose sending failed is not used again: the socket may still read from it', async () => {
  const memory = new PartMemory(4 * MIB)
  const [kept, failed] = [await memory.take(MIB), await memory.take(MIB)]
  await expect(memory.send(failed, () => Promise.reject(new Error('reset')))).rejects.toThrow('reset')
  expect(await memory.take(MIB)).not.toBe(failed)
  memory.drop(kept)
})

test('buffers that nobody asks for again are not kept beyond the bound', async () => {
  const memory = new PartMemory(8 * MIB)
  const first = await memory.take(5 * MIB)
  await memory.send(first, async () => {})
  for (const mebibytes of [4, 3, 2]) await memory.send(await memory.take(mebibytes * MIB), async () => {})
  expect(await memory.take(5 * MIB)).not.toBe(first)
})

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), new Promise<false>((resolve) => setImmediate(resolve, false))])
}
