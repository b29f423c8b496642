import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import { ListMultipartUploadsCommand, ListObjectsV2Command, UploadPartCommand } from '@aws-sdk/client-s3'
import { describe, expect, test } from 'vitest'
import type { Upload } from '../../storage/object-store.ts'
import { PartPlan } from '../../storage/s3/parts.ts'
import { contentOf, keysOf, ofType } from '../storage/store-under-test.ts'
import { pieceOf } from '../storage/upload-pieces.ts'
import { BUCKET, newRoot, type S3UnderTest } from './s3-server.ts'

const MIB = 1024 ** 2
const DIRECTORY = 'k/0/a/'

/** What is more than the conformance: how large objects are stored in parts, resumed and removed. */
export function describeS3Uploads(name: string, s3: () => S3UnderTest): void {
  async function uploadsBelow(root: string): Promise<readonly string[]> {
    const { Uploads = [] } = await s3().admin.send(
      new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: `${root}/` }),
    )
    return Uploads.map(({ Key = '' }) => Key.slice(root.length + 1))
  }

  async function hiddenBelow(root: string): Promise<readonly string[]> {
    const { Contents = [] } = await s3().admin.send(
      new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${root}/.tmp/` }),
    )
    return Contents.map(({ Key = '' }) => Key.slice(root.length + 1))
  }

  describe(`${name}: a large object`, () => {
    test('of 200 MB comes back as it was, in parts that were sent side by side', async () => {
      const { open, root } = newRoot(s3().server)
      const store = open()
      const piece = randomBytes(4_000_000)
      const upload = await store.upload(DIRECTORY)
      const writer = await upload.open('0', 0)
      const hash = createHash('sha256')
      for (let index = 0; index < 50; index++) {
        piece.writeUInt32LE(index)
        hash.update(piece)
        await writer.write(piece)
      }
      await writer.finish()
      await writer.close()
      await upload.commit(['0'])
      const stored = createHash('sha256')
      for await (const chunk of await store.get(`${DIRECTORY}0`)) stored.update(chunk)
      expect(stored.digest('hex')).toBe(hash.digest('hex'))
      expect(await uploadsBelow(root)).toEqual([])
    })

    test('is refused when its bytes are not those of the CRC-32 that came with them; so is a small one', async () => {
      const store = newRoot(s3().server).open()
      const upload = await store.upload(DIRECTORY)
      const piece = randomBytes(5 * MIB)
      const crc = crc32(piece)
      const writeAll = async (name: string, damaged: number) => {
        const writer = await upload.open(name, 0)
        try {
          for (let index = 0; index < 6; index++) await writer.write(piece, index === damaged ? crc ^ 1 : crc)
          await writer.finish()
        } finally {
          await writer.close()
        }
      }
      await writeAll('0', -1)
      // It is cut by the end of a part.
      await expect(writeAll('1', 1)).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(upload.put('2', piece, crc ^ 1)).rejects.toThrow(ofType('StorageUnavailable'))
      expect(await keysOf(store, '')).toEqual([`${DIRECTORY}0`])
      expect(
        (await contentOf(store, `${DIRECTORY}0`)).equals(Buffer.concat(Array.from({ length: 6 }, () => piece))),
      ).toBe(true)
    })

    test('of unknown size is put from a stream, and leaves nothing when the stream fails', async () => {
      const { open, root } = newRoot(s3().server)
      const store = open()
      const piece = randomBytes(MIB)
      const pieces = (count: number, failure?: Error) =>
        Readable.from(
          (async function* () {
            for (let index = 0; index < count; index++) yield piece
            if (failure !== undefined) throw failure
          })(),
        )
      expect(await store.put('a/b', pieces(40))).toBe(40 * MIB)
      expect((await contentOf(store, 'a/b')).equals(Buffer.concat(Array.from({ length: 40 }, () => piece)))).toBe(true)
      const failure = new Error('the source broke')
      await expect(store.put('a/c', pieces(40, failure))).rejects.toBe(failure)
      await expect(store.put('a/b', pieces(40), { ifAbsent: true })).rejects.toThrow(ofType('Refused'))
      expect(await keysOf(store, '')).toEqual(['a/b'])
      expect(await uploadsBelow(root)).toEqual([])
    })

    test('whose process was killed is gone on with from the last part that it reported', async () => {
      const { open, root } = newRoot(s3().server)
      const program = join(import.meta.dirname, 'endless-s3-upload.ts')
      const settings = [s3().server.kind, s3().server.endpoint, BUCKET, root, DIRECTORY, '0']
      const writer = spawn(process.execPath, [program, ...settings], { stdio: ['ignore', 'pipe', 'inherit'] })
      const exited = once(writer, 'exit')
      let reported = { id: '', kept: 0 }
      for await (const line of createInterface(writer.stdout)) {
        const [id = '', kept] = line.split(' ')
        reported = { id, kept: Number(kept) }
        if (reported.kept >= 20_000_000) writer.kill('SIGKILL')
      }
      await exited
      const store = open()
      expect((await store.list('')).objects).toEqual([])
      expect(await uploadsBelow(root)).toEqual([`${DIRECTORY}0`])
      // However much it has kept before it was ended, and more than was on its way: those parts may still arrive, and are ours again.
      const pieces = Math.ceil(reported.kept / pieceOf(0).length) + 1_000
      const whole = Buffer.concat(Array.from({ length: pieces }, (_, index) => pieceOf(index)))
      const there = await end(await store.upload(DIRECTORY, reported.id), '0', whole, reported.kept)
      expect(there).toBe(reported.kept)
      expect(whole.equals(await contentOf(store, `${DIRECTORY}0`))).toBe(true)
      expect(await uploadsBelow(root)).toEqual([])
    })
  })

  describe(`${name}: parts that an earlier attempt has left`, () => {
    const bytes = randomBytes(40 * MIB)

    test('are kept up to the byte that was asked for', async () => {
      const { open } = newRoot(s3().server)
      const first = await open().upload(DIRECTORY)
      expect(await begin(first, '0', bytes.subarray(0, 34 * MIB))).toBe(32 * MIB)
      const second = await open().upload(DIRECTORY, first.id)
      expect(await end(second, '0', bytes, 20 * MIB)).toBe(16 * MIB)
      expect(bytes.equals(await contentOf(open(), `${DIRECTORY}0`))).toBe(true)
    })

    test('of another upload of the same directory are not taken for its own', async () => {
      const { open } = newRoot(s3().server)
      const stranger = await open().upload(DIRECTORY, '0190000000000001')
      await begin(stranger, '0', randomBytes(24 * MIB))
      // Begun in the year 2100: nothing that is there now can be its own.
      const upload = await open().upload(DIRECTORY, '03bb2cc3d80000ff')
      expect(await end(upload, '0', bytes, 16 * MIB)).toBe(0)
      expect(bytes.equals(await contentOf(open(), `${DIRECTORY}0`))).toBe(true)
    })

    test('of objects that are whole are dropped by commit, those of other objects are not', async () => {
      const { open, root } = newRoot(s3().server)
      const first = await open().upload(DIRECTORY)
      await begin(first, '0', bytes)
      await begin(first, '1', bytes)
      const second = await open().upload(DIRECTORY, first.id)
      expect(await end(second, '0', bytes, 0)).toBe(0)
      expect(await uploadsBelow(root)).toEqual([`${DIRECTORY}1`])
    })

    test('are removed below the prefix only, and then a write that is at work fails', async () => {
      const { open, root } = newRoot(s3().server)
      const [upload, beside] = [await open().upload(DIRECTORY), await open().upload('k/0/a2/')]
      await begin(upload, '0', bytes)
      await begin(beside, '0', bytes)
      const writer = await upload.open('1', 0)
      // No part is under way when they are removed: versitygw has its own words for one that is.
      await writer.write(bytes.subarray(0, 34 * MIB))
      await expect.poll(() => writer.kept).toBe(32 * MIB)
      expect((await open().list('k/0/', { delimiter: '/' })).prefixes).toEqual(['k/0/a/', 'k/0/a2/'])
      await open().abortUploads(DIRECTORY)
      expect(await uploadsBelow(root)).toEqual(['k/0/a2/0'])
      await expect(writer.finish()).rejects.toThrow(ofType('StorageUnavailable'))
      await writer.close()
    })

    test('that are beyond the end of the object now are not in it', async () => {
      const { open, root } = newRoot(s3().server)
      const first = await open().upload(DIRECTORY)
      await begin(first, '0', bytes)
      const short = bytes.subarray(0, 20 * MIB)
      const goOn = async () => end(await open().upload(DIRECTORY, first.id), '0', short, 16 * MIB)
      if (s3().server.kind === 'ceph') {
        // It makes an object of all parts or of none: then the next attempt begins it anew.
        await expect(goOn()).rejects.toThrow(ofType('StorageUnavailable'))
        expect(await goOn()).toBe(0)
      } else {
        expect(await goOn()).toBe(16 * MIB)
      }
      expect(short.equals(await contentOf(open(), `${DIRECTORY}0`))).toBe(true)
      expect(await uploadsBelow(root)).toEqual([])
    })
  })

  describe(`${name}: an object beyond its direct parts`, () => {
    // Two parts of 10 MiB, then segments of 40 MiB in parts of 10.
    const plan = new PartPlan({ partSize: 5 * MIB, maxParts: 4, equalParts: false })
    const bytes = randomBytes(95 * MIB)

    test('is put together from segments, of which nothing is left', async () => {
      const { open, root } = newRoot(s3().server, '', plan)
      for (const size of [20, 25, 45, 60, 95]) {
        const upload = await open().upload(DIRECTORY)
        expect(await end(upload, String(size), bytes.subarray(0, size * MIB), 0)).toBe(0)
        expect(bytes.subarray(0, size * MIB).equals(await contentOf(open(), DIRECTORY + size))).toBe(true)
      }
      expect(await uploadsBelow(root)).toEqual([])
      expect(await hiddenBelow(root)).toEqual([])
    })

    test('is gone on with in the middle of a segment, wherever it was left', async () => {
      const { open, root } = newRoot(s3().server, '', plan)
      const first = await open().upload(DIRECTORY)
      for (const [left, asked, kept] of [
        [55, 50, 50],
        [55, 24, 20],
        [85, 80, 80],
        [65, 60, 60],
      ] as const) {
        const name = `${left}-${asked}`
        await begin(first, name, bytes.subarray(0, left * MIB))
        expect(await end(await open().upload(DIRECTORY, first.id), name, bytes, asked * MIB)).toBe(kept * MIB)
        expect(bytes.equals(await contentOf(open(), DIRECTORY + name))).toBe(true)
      }
      await open().abortUploads(DIRECTORY)
      expect(await uploadsBelow(root)).toEqual([])
      expect(await hiddenBelow(root)).toEqual([])
    })

    test('leaves nothing when it is removed before it is whole', async () => {
      const { open, root } = newRoot(s3().server, '', plan)
      await begin(await open().upload(DIRECTORY), '0', bytes.subarray(0, 80 * MIB))
      await open().abortUploads(DIRECTORY)
      expect(await uploadsBelow(root)).toEqual([])
      expect(await hiddenBelow(root)).toEqual([])
    })

    test('has an end', async () => {
      const { open } = newRoot(s3().server, '', plan)
      const writer = await (await open().upload(DIRECTORY)).open('0', 0)
      await writer.write(bytes)
      await expect(writer.write(bytes.subarray(0, 10 * MIB))).rejects.toThrow(ofType('InvalidConfig'))
      await writer.close()
    })
  })

  test(`${name}: a part that somebody else has stored under our number is noticed: the object is begun anew`, async () => {
    const { open, root } = newRoot(s3().server)
    const upload = await open().upload(DIRECTORY)
    const bytes = randomBytes(20 * MIB)
    const writer = await upload.open('0', 0)
    await writer.write(bytes)
    await expect.poll(() => writer.kept).toBe(16 * MIB)
    const { Uploads = [] } = await s3().admin.send(
      new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: `${root}/` }),
    )
    const [{ Key, UploadId } = {}] = Uploads
    await s3().admin.send(
      new UploadPartCommand({ Bucket: BUCKET, Key, UploadId, PartNumber: 1, Body: randomBytes(8 * MIB) }),
    )
    await expect(writer.finish()).rejects.toThrow(ofType('StorageUnavailable'))
    await writer.close()
    expect(await uploadsBelow(root)).toEqual([])
    expect(await end(await open().upload(DIRECTORY, upload.id), '0', bytes, 16 * MIB)).toBe(0)
    expect(bytes.equals(await contentOf(open(), `${DIRECTORY}0`))).toBe(true)
  })
}

/** Writes to an object, and leaves it as it is then. */
async function begin(upload: Upload, name: string, bytes: Buffer, from = 0): Promise<number> {
  const writer = await upload.open(name, from)
  await writer.write(bytes.subarray(writer.kept))
  // What is on its way gets the time to arrive.
  await expect.poll(() => bytes.length - writer.kept, { timeout: 20_000 }).toBeLessThan(10 * MIB)
  await writer.close()
  return writer.kept
}

async function end(upload: Upload, name: string, bytes: Buffer, from: number): Promise<number> {
  const writer = await upload.open(name, from)
  const there = writer.kept
  await writer.write(bytes.subarray(there))
  await writer.finish()
  await writer.close()
  await upload.commit([name])
  return there
}
