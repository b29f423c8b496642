import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { contentOf, keysOf, type MakeStore, ofType, storeWith } from './store-under-test.ts'

/** Of `conformance.ts`: what a store promises of the bytes it is given, alone and at the same time. */
export function describeObjects(name: string, make: MakeStore): void {
  describe(`${name}: objects`, () => {
    test.each([0, 1, 70_000, 5_000_000])(
      'of %d bytes come back as they were stored, from a buffer and from a stream',
      async (size) => {
        const store = await storeWith(make)
        const bytes = randomBytes(size)
        expect(await store.put('a/buffer', bytes)).toBe(size)
        expect(await store.put('a/stream', inPieces(bytes))).toBe(size)
        for (const key of ['a/buffer', 'a/stream']) {
          expect(bytes.equals(await contentOf(store, key))).toBe(true)
          expect(await store.head(key)).toMatchObject({ key, size })
        }
      },
    )

    test('are replaced by a second write', async () => {
      const store = await storeWith(make, ['a'])
      await store.put('a', Buffer.from('second'))
      expect(String(await contentOf(store, 'a'))).toBe('second')
    })

    test('are read by range, both ends included', async () => {
      const store = await storeWith(make)
      const bytes = randomBytes(3_000_000)
      await store.put('a', bytes)
      for (const [start, end] of [
        [0, 0],
        [10, 2_500_000],
        [2_999_999, 2_999_999],
        [0, 2_999_999],
      ] as const) {
        expect(bytes.subarray(start, end + 1).equals(await buffer(await store.get('a', { start, end })))).toBe(true)
      }
    })

    test('refuse a range that they do not have', async () => {
      const store = await storeWith(make, ['abc'])
      await expect(store.get('abc', { start: 0, end: 3 })).rejects.toThrow(ofType('CorruptBackup'))
      await expect(store.get('abc', { start: 7, end: 9 })).rejects.toThrow(ofType('CorruptBackup'))
      await expect(store.get('abc', { start: 2, end: 1 })).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.get('abc', { start: -1, end: 1 })).rejects.toThrow(ofType('InvalidInput'))
    })

    test('can be left half-read', async () => {
      const store = await storeWith(make)
      await store.put('a', Buffer.alloc(5_000_000))
      const body = await store.get('a')
      for await (const _ of body) break
      expect(body.destroyed).toBe(true)
    })

    test('that do not exist: get says NotFound, head undefined, delete nothing', async () => {
      const store = await storeWith(make, ['a/b'])
      for (const key of ['a/c', 'a', 'x/y/z']) {
        await expect(store.get(key)).rejects.toThrow(ofType('NotFound'))
        expect(await store.head(key)).toBeUndefined()
        await store.delete([key])
      }
      expect(await keysOf(store, '')).toEqual(['a/b'])
    })
  })

  describe(`${name}: a write that must not replace`, () => {
    test('is refused where an object is, and leaves it as it is', async () => {
      const store = await storeWith(make, ['a/MANIFEST'])
      await expect(store.put('a/MANIFEST', Buffer.from('other'), { ifAbsent: true })).rejects.toThrow(ofType('Refused'))
      expect(String(await contentOf(store, 'a/MANIFEST'))).toBe('a/MANIFEST')
      expect(await keysOf(store, '')).toEqual(['a/MANIFEST'])
    })

    test('succeeds for exactly one of many at once, of two processes', async () => {
      const place = await make()
      const writers = [place.open(), place.open()].flatMap((store) => [1, 2, 3, 4].map((at) => ({ store, at })))
      const results = await Promise.allSettled(
        writers.map(({ store }, index) => store.put('a/MANIFEST', Buffer.alloc(100_000, index), { ifAbsent: true })),
      )
      const winners = [...results.keys()].filter((index) => results[index]?.status === 'fulfilled')
      expect(winners).toHaveLength(1)
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ type: 'Refused' })
      expect((await contentOf(place.open(), 'a/MANIFEST')).equals(Buffer.alloc(100_000, winners[0]))).toBe(true)
    })
  })

  describe(`${name}: writes and removals at the same time`, () => {
    test('to one key leave one of the writes whole', async () => {
      const place = await make()
      const stores = [place.open(), place.open()]
      await Promise.all(
        [0, 1, 2, 3, 4, 5].map((index) => stores[index % 2]?.put('a/b', inPieces(Buffer.alloc(300_000, index)))),
      )
      const bytes = await contentOf(place.open(), 'a/b')
      expect(bytes).toHaveLength(300_000)
      expect(new Set(bytes).size).toBe(1)
    })

    test('in one directory do not disturb each other', async () => {
      const place = await make()
      const [one, other] = [place.open(), place.open()]
      await one.put('keep', Buffer.from('keep'))
      for (let round = 0; round < 10; round++) {
        await one.put('a/b/old', Buffer.from('old'))
        await Promise.all([one.delete(['a/b/old']), other.put('a/b/new', Buffer.from('new'))])
        expect(await keysOf(one, 'a/')).toEqual(['a/b/new'])
        await other.delete(['a/b/new'])
      }
    })
  })

  describe(`${name}: a write that does not end well`, () => {
    test('leaves nothing, and throws the very error of its body', async () => {
      const store = await storeWith(make, ['a/kept'])
      const failure = new Error('the source broke')
      const body = Readable.from(
        (async function* () {
          yield Buffer.alloc(200_000)
          throw failure
        })(),
        { objectMode: false },
      )
      await expect(store.put('a/b', body)).rejects.toBe(failure)
      expect(await keysOf(store, '')).toEqual(['a/kept'])
    })

    test('leaves what was there before', async () => {
      const store = await storeWith(make, ['a'])
      await expect(store.put('a', brokenBody(new Error('broken')))).rejects.toThrow('broken')
      expect(String(await contentOf(store, 'a'))).toBe('a')
    })

    test('is not upset by a body that has failed already', async () => {
      const store = await storeWith(make, ['a'])
      const body = new Readable({ read() {} })
      body.destroy(new Error('failed before'))
      await expect(store.put('b', body)).rejects.toThrow('failed before')
    })

    test('stops at once when it is aborted, though its body stands still, and throws the reason', async () => {
      const store = await storeWith(make, ['kept'])
      const controller = new AbortController()
      const reason = new Error('cancelled')
      const body = new Readable({ read() {} })
      body.push(Buffer.alloc(100_000))
      const writing = store.put('a/b', body, { signal: controller.signal })
      setImmediate(() => controller.abort(reason))
      await expect(writing).rejects.toBe(reason)
      expect(body.destroyed).toBe(true)
      await expect(store.put('a/b', Buffer.from('x'), { signal: controller.signal })).rejects.toBe(reason)
      expect(await keysOf(store, '')).toEqual(['kept'])
    })

    test('lets go of its body when it could not begin', async () => {
      const store = await storeWith(make)
      const body = new Readable({ read() {} })
      await expect(store.put('../a', body)).rejects.toThrow(ofType('InvalidInput'))
      expect(body.destroyed).toBe(true)
    })
  })
}

function inPieces(bytes: Buffer): Readable {
  const pieces = Array.from({ length: Math.ceil(bytes.length / 50_000) }, (_, at) =>
    bytes.subarray(at * 50_000, (at + 1) * 50_000),
  )
  return Readable.from(pieces, { objectMode: false })
}

function brokenBody(error: Error): Readable {
  return new Readable({
    read() {
      this.destroy(error)
    },
  })
}
