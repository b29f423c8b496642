import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore } from './interfered-store.ts'
import { copy, manifestFor, restore } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'
import { digestsOf } from './sample-files.ts'

/** With one thread there are at most five batches of 64 objects on their way when a backup is made, and four when it is restored. */
const FILES = 400
const OF_EACH_BATCH = 8

/** Counts calls that take a moment, and tells how many there were at once at the most. */
function counted() {
  let now = 0
  let most = 0
  return {
    most: () => most,
    call: async () => {
      now += 1
      most = Math.max(most, now)
      // Until the others of its batch are there: files open one after the other where the disk is slow.
      for (let waited = 0; most < OF_EACH_BATCH && waited < 1_000; waited += 5) await setTimeout(5)
      await setTimeout(2)
      now -= 1
    },
  }
}

test('small objects of a store that is no directory are stored and read several at once, and never all', async () => {
  const [source, root] = [await temporaryDirectory(), await temporaryDirectory()]
  const files: DataFile[] = []
  for (let seed = 0; seed < FILES; seed++)
    files.push(await writeContent(source, { name: `db/${seed}.MYD`, size: 3_000, kind: 'mixed', seed }))
  const [writes, reads] = [counted(), counted()]
  const store = new InterferedStore(root, { opaque: true, onWrite: writes.call, onGet: reads.call })
  const copied = await copy(files, { store, concurrency: 1 })
  expect(writes.most()).toBeGreaterThanOrEqual(OF_EACH_BATCH)
  expect(writes.most()).toBeLessThanOrEqual(5 * OF_EACH_BATCH)
  const { staging } = await restore(manifestFor(copied, 'tabletkeeper'), { store, concurrency: 1 })
  expect(reads.most()).toBeGreaterThanOrEqual(OF_EACH_BATCH)
  expect(reads.most()).toBeLessThanOrEqual(4 * OF_EACH_BATCH)
  expect(await digestsOf(staging)).toEqual(await digestsOf(source))
})

test('small objects on their way into a store that hangs are given up with the copy', async () => {
  const [source, root] = [await temporaryDirectory(), await temporaryDirectory()]
  const names = Array.from({ length: OF_EACH_BATCH }, (_, seed) => seed)
  const files = await Promise.all(
    names.map((seed) => writeContent(source, { name: `db/${seed}.MYD`, size: 3_000, kind: 'mixed', seed })),
  )
  const [abort, reason] = [new AbortController(), new Error('cancelled')]
  const signals: (AbortSignal | undefined)[] = []
  const onPut = async (_name: string, signal: AbortSignal | undefined) => {
    signals.push(signal)
    if (signals.length === files.length) abort.abort(reason)
    // Who has no signal would hang for ever.
    if (signal === undefined) throw new Error('nothing ends this put')
    if (!signal.aborted) await once(signal, 'abort')
    throw signal.reason
  }
  const store = new InterferedStore(root, { opaque: true, onPut })
  await expect(copy(files, { store, concurrency: 1, signal: abort.signal })).rejects.toBe(reason)
  expect(signals.map((signal) => signal?.aborted)).toEqual(files.map(() => true))
  expect((await store.list('')).objects).toEqual([])
})
