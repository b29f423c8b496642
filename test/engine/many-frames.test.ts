import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { type FramedObject, type ReadOptions, readFramedObject } from '../../engine/backup/framed-object.ts'
import { checksumsOf } from '../../engine/frames/checksums.ts'
import { compressFrame, FRAME_SIZE } from '../../engine/frames/frame.ts'
import { type CopyBinding, CopyLedger } from '../../engine/ledger/copy-ledger.ts'
import { RestoreLedger } from '../../engine/ledger/restore-ledger.ts'
import { ObjectDigest } from '../../engine/object-digest.ts'
import { FramesInFlight } from '../../engine/pool/frames-in-flight.ts'
import { WorkerPool } from '../../engine/pool/worker-pool.ts'
import { FileStore } from '../../storage/file/file.ts'
import type { ByteRange } from '../../storage/object-store.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { retainedBytes } from './retained-memory.ts'
import { DIRECTORY, HEADER, manifestFor } from './sample-run.ts'

/** As a file of 128 GiB has; one of 5 TiB has forty times as many. */
const FRAMES = 16_384
/** Bytes of a frame that may stay for as long as its object is at work: 63 MiB of 5 TiB. */
const OF_A_FRAME = 100
const PLAIN = 100
const STORED = compressFrame(Buffer.alloc(PLAIN, 'x'), 1)
const CHECKSUMS = checksumsOf(STORED)

async function storedObject(root: string, frames: number): Promise<FramedObject> {
  const digest = new ObjectDigest()
  for (let frame = 0; frame < frames; frame++) digest.addFrame({ stored: STORED.length, plain: PLAIN, ...CHECKSUMS })
  const table = digest.seekTable()
  digest.addSeekTable({ stored: table.length, ...checksumsOf(table) })
  const key = `${DIRECTORY}${frames}`
  const path = join(root, key)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, Buffer.concat([...Array.from({ length: frames }, () => STORED), table]))
  const { stored, plain, crc } = digest
  return { key, stored, plain, frameSize: PLAIN, crc, hash: digest.hash() }
}

/** Reads an object of so many frames from a store of files. */
async function reading(frames: number, options: ReadOptions) {
  const root = await temporaryDirectory()
  const object = await storedObject(root, frames)
  const store = new FileStore(root)
  await using pool = new WorkerPool({ size: 2, storage: store.description })
  const inFlight = new FramesInFlight(8)
  const { whole } = await readFramedObject({ store, pool, inFlight, isAborted: () => false }, object, options)
  await whole
}

test('what is kept of a large object while it is read does not count', async () => {
  await reading(1_000, { pagesOf: 'db/t.ibd', onFrame: async () => {} })
  let [before, after, done] = [0, 0, 0]
  await reading(FRAMES, {
    pagesOf: 'db/t.ibd',
    onPlaces: async () => {
      before = retainedBytes()
    },
    onFrame: async () => {
      done += 1
      if (done === FRAMES) after = retainedBytes()
    },
  })
  expect((after - before) / FRAMES).toBeLessThan(OF_A_FRAME)
}, 300_000)

test('of frames that fail the first in the object counts, whichever failed first, when none is at work any more', async () => {
  const later = Promise.withResolvers<void>()
  const last = Promise.withResolvers<void>()
  const failed: ByteRange[] = []
  const ended: number[] = []
  const read = reading(6, {
    onFailed: (range) => failed.push(range),
    onFrame: async (frame) => {
      if (frame === 4) {
        later.resolve()
        throw new Error('the fifth')
      }
      if (frame === 2) {
        await later.promise
        // The failure of the fifth frame is seen before that of this one.
        setImmediate(last.resolve)
        throw new Error('the third')
      }
      if (frame === 5) await last.promise
      ended.push(frame)
    },
  })
  await expect(read).rejects.toThrow('the third')
  expect(failed).toEqual([{ start: 2 * STORED.length, end: 3 * STORED.length - 1 }])
  expect(ended.toSorted()).toEqual([0, 1, 3, 5])
})

test('what an attempt knows of a large object that another one has copied in part does not count', async () => {
  const path = join(await temporaryDirectory(), 'ledger')
  const binding: CopyBinding = { ...HEADER, files: 'f', store: 'file:/mnt', compressor: 'zstd', boot: 'b' }
  {
    await using ledger = await CopyLedger.create(path, binding, 'upload', 1)
    for (let frame = 0; frame < FRAMES; frame++)
      ledger.addFrame(0, { plain: FRAME_SIZE, stored: 1_000_000, ...CHECKSUMS }, [])
  }
  const before = retainedBytes()
  await using ledger = await CopyLedger.resume(path, binding, 1)
  expect((retainedBytes() - before) / FRAMES).toBeLessThan(OF_A_FRAME)
  expect(ledger?.framesWithin(0, Number.POSITIVE_INFINITY)).toHaveLength(FRAMES)
}, 60_000)

test('nor does what an attempt knows of one that another one has restored in part', async () => {
  const path = join(await temporaryDirectory(), 'ledger')
  const manifest = manifestFor([{ base: 'Data', name: 'a', size: 1, stored: 1, hash: '00000000' }], 'tabletkeeper')
  {
    await using ledger = await RestoreLedger.open(path, manifest)
    for (let frame = 0; frame < FRAMES; frame++) ledger.addFrame(0, frame, CHECKSUMS)
  }
  const before = retainedBytes()
  await using ledger = await RestoreLedger.open(path, manifest)
  expect((retainedBytes() - before) / FRAMES).toBeLessThan(OF_A_FRAME)
  expect(ledger.framesOf(0).size).toBe(FRAMES)
}, 60_000)
