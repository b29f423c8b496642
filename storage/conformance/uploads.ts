import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ObjectStore, ObjectWriter, Upload } from '../object-store.ts'
import { contentOf, keysOf, type MakeStore, ofType, storeWith } from './store-under-test.ts'

const DIRECTORY = 'k/0/a/'

/** Of `conformance.ts`: what a store promises of objects that are written in pieces and become visible together. */
export function describeUploads(name: string, make: MakeStore): void {
  describe(`${name}: an upload`, () => {
    test.each([0, 1, 70_000, 12_000_000])(
      'of an object of %d bytes in pieces shows nothing of it before it is whole, and all of it when it is committed',
      async (size) => {
        const store = await storeWith(make, ['kept'])
        const bytes = randomBytes(size)
        const upload = await store.upload(DIRECTORY)
        const writer = await upload.open('0', 0)
        for (let at = 0; at < size; at += 5_000_000) await writer.write(bytes.subarray(at, at + 5_000_000))
        await upload.writeOut()
        expect(await keysOf(store, '')).toEqual(['kept'])
        expect(await store.head(`${DIRECTORY}0`)).toBeUndefined()
        await expect(store.get(`${DIRECTORY}0`)).rejects.toThrow(ofType('NotFound'))
        await writer.finish()
        await writer.close()
        await upload.commit(['0'])
        expect(await store.head(`${DIRECTORY}0`)).toMatchObject({ size })
        expect(bytes.equals(await contentOf(store, `${DIRECTORY}0`))).toBe(true)
        expect(await keysOf(store, '')).toEqual([`${DIRECTORY}0`, 'kept'])
      },
    )

    test.each([0, 70_000, 12_000_000])('takes an object of %d bytes whole, and again', async (size) => {
      const store = await storeWith(make, ['kept'])
      const bytes = randomBytes(size)
      const upload = await store.upload(DIRECTORY)
      await upload.put('0', Buffer.alloc(100))
      await upload.put('0', bytes, crc32(bytes))
      await upload.put('1', bytes)
      await upload.commit(['0', '1'])
      expect(await keysOf(store, '')).toEqual([`${DIRECTORY}0`, `${DIRECTORY}1`, 'kept'])
      for (const name of ['0', '1']) expect(bytes.equals(await contentOf(store, DIRECTORY + name))).toBe(true)
    })

    test('takes an object whole unless that was given up, and then has nothing of it', async () => {
      const store = await storeWith(make, ['kept'])
      const upload = await store.upload(DIRECTORY)
      const { signal } = new AbortController()
      await upload.put('0', Buffer.from('zero'), undefined, signal)
      const reason = new Error('given up')
      // A store may ignore it where nothing becomes visible by it.
      const outcome = await upload
        .put('1', Buffer.from('one'), undefined, AbortSignal.abort(reason))
        .catch((error) => error)
      expect([undefined, reason]).toContain(outcome)
      await upload.commit(['0'])
      expect(await keysOf(store, '')).toEqual([`${DIRECTORY}0`, 'kept'])
    })

    test('makes a new repository ready', async () => {
      const store = await storeWith(make)
      await store.upload(DIRECTORY)
      expect(await store.repository()).toMatchObject({ state: 'ready', id: expect.any(String) })
      expect((await store.list('')).objects).toEqual([])
    })

    test('takes many objects at once, written at the same time', async () => {
      const store = await storeWith(make)
      const upload = await store.upload(DIRECTORY)
      const objects = Array.from({ length: 150 }, (_, index) => ({
        name: String(index),
        bytes: randomBytes(index * 50),
      }))
      await Promise.all(objects.map(({ name, bytes }) => write(upload, name, bytes, 3_000)))
      await upload.commit(objects.map(({ name }) => name))
      expect(await keysOf(store, '')).toEqual(objects.map(({ name }) => DIRECTORY + name).sort())
      for (const { name, bytes } of objects) {
        expect(bytes.equals(await contentOf(store, DIRECTORY + name))).toBe(true)
      }
    })

    test('of no objects is committed too', async () => {
      const store = await storeWith(make)
      const upload = await store.upload(DIRECTORY)
      await upload.commit([])
      expect(await keysOf(store, '')).toEqual([])
    })

    test('does not mix with another into the same directory, whose objects have other names', async () => {
      const place = await make()
      const uploads = [await place.open().upload(DIRECTORY), await place.open().upload(DIRECTORY)]
      expect(uploads[0]?.id).not.toBe(uploads[1]?.id)
      await Promise.all(uploads.map((upload, index) => write(upload, String(index), Buffer.alloc(9_000, index))))
      await Promise.all(uploads.map((upload, index) => upload.commit([String(index)])))
      for (const index of [0, 1]) {
        expect(await contentOf(place.open(), `${DIRECTORY}${index}`)).toEqual(Buffer.alloc(9_000, index))
      }
    })

    test('stores what it was given of a name that another has too, or is refused', async () => {
      const place = await make()
      const [first, second] = [await place.open().upload(DIRECTORY), await place.open().upload(DIRECTORY)]
      await write(first, 'both', Buffer.from('first'))
      if (place.visibleAt === 'finish') {
        await expect(write(second, 'both', Buffer.from('other'))).rejects.toThrow(ofType('Refused'))
        await first.commit(['both'])
      } else {
        await write(second, 'both', Buffer.from('other'))
        await second.commit(['both'])
      }
      const expected = place.visibleAt === 'finish' ? 'first' : 'other'
      expect(String(await contentOf(place.open(), `${DIRECTORY}both`))).toBe(expected)
    })

    test.each(['', '.hidden', 'a/b', '../a', 'a\0b', 'x'.repeat(201)])(
      'takes no object of the name %j',
      async (name) => {
        const store = await storeWith(make, ['a'])
        const upload = await store.upload(DIRECTORY)
        await expect(upload.open(name, 0)).rejects.toThrow(ofType('InvalidInput'))
        await expect(upload.commit(['0', name])).rejects.toThrow(ofType('InvalidInput'))
      },
    )

    test('begins in no directory that is none, and goes on under no id that is none', async () => {
      const store = await storeWith(make, ['a'])
      for (const directory of ['', 'k', 'k/0', '/', 'k//', '../k/', '.k/']) {
        await expect(store.upload(directory)).rejects.toThrow(ofType('InvalidInput'))
      }
      for (const id of ['', '../../etc']) {
        await expect(store.upload(DIRECTORY, id)).rejects.toThrow(ofType('InvalidInput'))
      }
    })
  })

  describe(`${name}: an upload that another process goes on with`, () => {
    const bytes = randomBytes(11_000_000)

    test('keeps the bytes that were asked for, and drops what is beyond them', async () => {
      const { first, second, store } = await twoProcesses(make)
      await begin(first, '0', Buffer.concat([bytes.subarray(0, 6_000_000), randomBytes(3_000_000)]))
      const kept = await goOn(second, '0', bytes, 6_000_000)
      expect(kept).toBeLessThanOrEqual(6_000_000)
      await second.commit(['0'])
      expect(bytes.equals(await contentOf(store, `${DIRECTORY}0`))).toBe(true)
    })

    test('tells when fewer bytes are there than were asked for', async () => {
      const { first, second, store } = await twoProcesses(make)
      await begin(first, '0', bytes.subarray(0, 5_500_000))
      expect(await goOn(second, '0', bytes, 9_000_000)).toBeLessThanOrEqual(5_500_000)
      expect(await goOn(second, '1', bytes, 9_000_000)).toBe(0)
      await second.commit(['0', '1'])
      for (const key of [`${DIRECTORY}0`, `${DIRECTORY}1`]) {
        expect(bytes.equals(await contentOf(store, key))).toBe(true)
      }
    })

    test('begins an object anew when it keeps nothing', async () => {
      const { first, second, store } = await twoProcesses(make)
      await begin(first, '0', bytes)
      expect(await goOn(second, '0', Buffer.from('short'), 0)).toBe(0)
      await second.commit(['0'])
      expect(String(await contentOf(store, `${DIRECTORY}0`))).toBe('short')
    })

    test('drops nothing for a call that was given up', async () => {
      const { first, second, store } = await twoProcesses(make)
      const reason = new Error('given up')
      await writing(first, '0', 0, async (writer) => {
        await writer.write(bytes.subarray(0, 10_000_000))
        const { kept } = writer
        await expect(second.open('0', 0, AbortSignal.abort(reason))).rejects.toBe(reason)
        await expect(second.open('0', 1_000, AbortSignal.abort(reason))).rejects.toBe(reason)
        expect(writer.kept).toBeGreaterThanOrEqual(kept)
        await writer.write(bytes.subarray(10_000_000))
        await writer.finish()
      })
      await second.commit(['0'])
      expect(bytes.equals(await contentOf(store, `${DIRECTORY}0`))).toBe(true)
    })

    test('commits what the first has written, as often as it is asked to', async () => {
      const { first, second, store } = await twoProcesses(make)
      for (const name of ['0', '1', '2']) await write(first, name, Buffer.from(name))
      await first.commit(['1'])
      await second.commit(['0', '1'])
      for (const upload of [first, second, first]) await upload.commit(['0', '1', '2'])
      for (const name of ['0', '1', '2']) expect(String(await contentOf(store, DIRECTORY + name))).toBe(name)
      expect(await keysOf(store, '')).toHaveLength(3)
    })

    test('may be committed by both at the same time', async () => {
      const { first, second, store } = await twoProcesses(make)
      const names = Array.from({ length: 40 }, (_, index) => String(index))
      for (const name of names) await write(first, name, Buffer.from(name))
      await Promise.all([first.commit(names), second.commit(names.toReversed())])
      expect(await keysOf(store, '')).toEqual(names.map((name) => DIRECTORY + name).sort())
    })
  })

  describe(`${name}: an upload that does not end well`, () => {
    test('says which object was never written, or is gone', async () => {
      const store = await storeWith(make)
      const upload = await store.upload(DIRECTORY)
      await write(upload, '0', Buffer.from('zero'))
      const committing = upload.commit(['0', '17'])
      await expect(committing).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(committing).rejects.toThrow(`${DIRECTORY}17`)
      await write(upload, '17', Buffer.from('seventeen'))
      await upload.commit(['0', '17'])
      expect(String(await contentOf(store, `${DIRECTORY}17`))).toBe('seventeen')
    })

    test('is refused where somebody else has stored one of its objects, which stays as it is', async () => {
      const store = await storeWith(make, [`${DIRECTORY}1`])
      const upload = await store.upload(DIRECTORY)
      const storing = async () => {
        for (const name of ['0', '1', '2']) await write(upload, name, Buffer.from('new'))
        await upload.commit(['0', '1', '2'])
      }
      const refused = storing()
      await expect(refused).rejects.toThrow(ofType('Refused'))
      await expect(refused).rejects.toThrow(`${DIRECTORY}1`)
      expect(String(await contentOf(store, `${DIRECTORY}1`))).toBe(`${DIRECTORY}1`)
    })

    test('is removed with what unfinished writes have left, and with nothing else', async () => {
      const place = await make()
      const [store, other] = [place.open(), place.open()]
      const [upload, beside] = [await store.upload(DIRECTORY), await store.upload('k/0/b/')]
      await begin(upload, '0', Buffer.from('zero'))
      await write(beside, '0', Buffer.from('zero'))
      await write(upload, '1', Buffer.from('one'))
      await upload.commit(['1'])
      await other.abortUploads(DIRECTORY)
      await expect(upload.commit(['0'])).rejects.toThrow(ofType('StorageUnavailable'))
      await beside.commit(['0'])
      expect(await keysOf(store, '')).toEqual([`${DIRECTORY}1`, 'k/0/b/0'])
    })

    test('leaves no trace when it was removed before anything was committed', async () => {
      const store = await storeWith(make, ['kept'])
      const upload = await store.upload(DIRECTORY)
      await begin(upload, '0', Buffer.from('zero'))
      await store.abortUploads('k/')
      expect(await store.list('', { delimiter: '/' })).toMatchObject({ objects: [{ key: 'kept' }], prefixes: [] })
    })
  })
}

/** Writes the whole of an object. */
async function write(upload: Upload, name: string, bytes: Buffer, piece = bytes.length): Promise<void> {
  expect(await goOn(upload, name, bytes, 0, piece)).toBe(0)
}

/** Writes an object of which `from` bytes may be there already; returns how many were. */
async function goOn(upload: Upload, name: string, bytes: Buffer, from: number, piece = bytes.length): Promise<number> {
  return await writing(upload, name, from, async (writer) => {
    const there = writer.kept
    for (let at = there; at < bytes.length; at += piece) await writer.write(bytes.subarray(at, at + piece))
    await writer.finish()
    expect(writer.kept).toBe(bytes.length)
    return there
  })
}

/** Writes what may become an object, and leaves it so. */
async function begin(upload: Upload, name: string, bytes: Buffer): Promise<void> {
  await writing(upload, name, 0, async (writer) => {
    await writer.write(bytes)
    expect(writer.kept).toBeLessThanOrEqual(bytes.length)
  })
}

async function writing<T>(
  upload: Upload,
  name: string,
  from: number,
  action: (writer: ObjectWriter) => Promise<T>,
): Promise<T> {
  const writer = await upload.open(name, from)
  try {
    return await action(writer)
  } finally {
    await writer.close()
  }
}

async function twoProcesses(make: MakeStore): Promise<{ first: Upload; second: Upload; store: ObjectStore }> {
  const place = await make()
  const first = await place.open().upload(DIRECTORY)
  const store = place.open()
  return { first, second: await store.upload(DIRECTORY, first.id), store }
}
