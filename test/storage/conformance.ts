import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { ErrorType } from '../../model/errors.ts'
import type { ObjectStore } from '../../storage/object-store.ts'

/** One root, new and empty, that the running test has for itself; each call of `open` is another process's view of it. */
export interface StoreUnderTest {
  open(): ObjectStore
}

/** What every `ObjectStore` promises. `make` is called by each test and registers its own clean-up with `onTestFinished`. */
export function describeObjectStore(name: string, make: () => Promise<StoreUnderTest>): void {
  const newStore = async () => (await make()).open()
  const storeWith = async (keys: readonly string[]) => {
    const store = await newStore()
    for (const key of keys) await store.put(key, Buffer.from(key))
    return store
  }
  const keysOf = async (store: ObjectStore, prefix: string) => (await store.list(prefix)).objects.map(({ key }) => key)
  const contentOf = async (store: ObjectStore, key: string) => await buffer(await store.get(key))

  describe(`${name}: objects`, () => {
    test.each([0, 1, 70_000, 5_000_000])(
      'of %d bytes come back as they were stored, from a buffer and from a stream',
      async (size) => {
        const store = await newStore()
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
      const store = await storeWith(['a'])
      await store.put('a', Buffer.from('second'))
      expect(String(await contentOf(store, 'a'))).toBe('second')
    })

    test('are read by range, both ends included', async () => {
      const store = await newStore()
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
      const store = await storeWith(['abc'])
      await expect(store.get('abc', { start: 0, end: 3 })).rejects.toThrow(ofType('CorruptBackup'))
      await expect(store.get('abc', { start: 7, end: 9 })).rejects.toThrow(ofType('CorruptBackup'))
      await expect(store.get('abc', { start: 2, end: 1 })).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.get('abc', { start: -1, end: 1 })).rejects.toThrow(ofType('InvalidInput'))
    })

    test('can be left half-read', async () => {
      const store = await newStore()
      await store.put('a', Buffer.alloc(5_000_000))
      const body = await store.get('a')
      for await (const _ of body) break
      expect(body.destroyed).toBe(true)
    })

    test('that do not exist: get says NotFound, head undefined, delete nothing', async () => {
      const store = await storeWith(['a/b'])
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
      const store = await storeWith(['a/MANIFEST'])
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
      const store = await storeWith(['a/kept'])
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
      const store = await storeWith(['a'])
      await expect(store.put('a', brokenBody(new Error('broken')))).rejects.toThrow('broken')
      expect(String(await contentOf(store, 'a'))).toBe('a')
    })

    test('is not upset by a body that has failed already', async () => {
      const store = await storeWith(['a'])
      const body = new Readable({ read() {} })
      body.destroy(new Error('failed before'))
      await expect(store.put('b', body)).rejects.toThrow('failed before')
    })

    test('stops at once when it is aborted, though its body stands still, and throws the reason', async () => {
      const store = await storeWith(['kept'])
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
      const store = await newStore()
      const body = new Readable({ read() {} })
      await expect(store.put('../a', body)).rejects.toThrow(ofType('InvalidInput'))
      expect(body.destroyed).toBe(true)
    })
  })

  describe(`${name}: listing`, () => {
    const KEYS = ['k/0/a/0', 'k/0/a/1', 'k/0/a/MANIFEST', 'k/0/ab/0', 'k/0/note', 'k/-80/a/0', 'k2/0/a/0']

    test('finds what starts with a prefix, sorted, wherever the prefix is cut', async () => {
      const store = await storeWith(KEYS)
      for (const prefix of ['', 'k', 'k/', 'k/0/a', 'k/0/a/', 'k/0/a/M', 'k/0/a/MANIFEST', 'k/1', 'nothing/at/all/']) {
        expect(await keysOf(store, prefix)).toEqual(KEYS.filter((key) => key.startsWith(prefix)).sort())
      }
    })

    test('shows one level with a delimiter', async () => {
      const store = await storeWith(KEYS)
      const level = async (prefix: string) => {
        const { objects, prefixes } = await store.list(prefix, { delimiter: '/' })
        return { objects: objects.map(({ key }) => key), prefixes }
      }
      expect(await level('')).toEqual({ objects: [], prefixes: ['k/', 'k2/'] })
      expect(await level('k')).toEqual({ objects: [], prefixes: ['k/', 'k2/'] })
      expect(await level('k/0/')).toEqual({ objects: ['k/0/note'], prefixes: ['k/0/a/', 'k/0/ab/'] })
      expect(await level('k/0/a')).toEqual({ objects: [], prefixes: ['k/0/a/', 'k/0/ab/'] })
      expect(await level('k/0/a/')).toEqual({ objects: ['k/0/a/0', 'k/0/a/1', 'k/0/a/MANIFEST'], prefixes: [] })
      expect(await level('none/')).toEqual({ objects: [], prefixes: [] })
    })

    test('tells sizes, and times that are now', async () => {
      const store = await storeWith(['abc'])
      const [object] = (await store.list('')).objects
      expect(object?.size).toBe(3)
      expect(Math.abs(Number(object?.modified) - Date.now())).toBeLessThan(60_000)
      expect(await store.head('abc')).toEqual(object)
    })

    test('forgets what was removed, and nothing beside it', async () => {
      const store = await storeWith(KEYS)
      await store.delete(['k/0/a/0', 'k/0/a/1', 'k/0/a/MANIFEST', 'k/0/missing'])
      expect((await store.list('k/0/', { delimiter: '/' })).prefixes).toEqual(['k/0/ab/'])
      await store.delete(await keysOf(store, ''))
      expect(await store.list('')).toEqual({ objects: [], prefixes: [] })
      expect(await store.repository()).toMatchObject({ state: 'ready' })
    })

    test('and removal are complete beyond a thousand objects', async () => {
      const store = await newStore()
      const keys = Array.from({ length: 1_050 }, (_, index) => `k/0/a/${index}`)
      for (let at = 0; at < keys.length; at += 50) {
        await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, Buffer.from('x'))))
      }
      expect(await keysOf(store, 'k/')).toEqual(keys.toSorted())
      await store.delete(keys)
      expect(await keysOf(store, 'k/')).toEqual([])
    })
  })

  describe(`${name}: names`, () => {
    test.each([
      '',
      '/',
      '/etc/passwd',
      '../a',
      'a/../b',
      'a/..',
      './a',
      'a//b',
      'a/',
      '.hidden',
      'a/.tmp-x',
      'a\0b',
      'a\\b',
      'a\nb',
      `a/${'x'.repeat(201)}`,
    ])('%j is refused by every call', async (key) => {
      const store = await storeWith(['a'])
      await expect(store.put(key, Buffer.from('x'))).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.get(key)).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.head(key)).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.delete(['a', key])).rejects.toThrow(ofType('InvalidInput'))
      expect(await keysOf(store, '')).toEqual(['a'])
    })

    test.each(['/', '../', 'a/../', 'a//', './', 'a/.tmp-'])('%j is refused as a prefix', async (prefix) => {
      const store = await storeWith(['a'])
      await expect(store.list(prefix)).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.abortUploads(prefix)).rejects.toThrow(ofType('InvalidInput'))
    })

    test('of a backup are taken', async () => {
      const keys = [
        'commerce/-80/2026-11-24.143446.zone1-0000000101/MANIFEST',
        'commerce/80-/2026-11-24.143446.zone1-0000000101/185',
      ]
      expect(await keysOf(await storeWith(keys), '')).toEqual(keys)
    })
  })

  describe(`${name}: a repository`, () => {
    test('that is new never says that nothing is there', async () => {
      const store = await newStore()
      expect(await store.repository()).toEqual({ state: 'new' })
      await expect(store.list('')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.list('k/0/', { delimiter: '/' })).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.get('a')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.head('a')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.delete(['a'])).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.abortUploads('a')).rejects.toThrow(ofType('StorageUnavailable'))
    })

    test('stays new when it is probed', async () => {
      const store = await newStore()
      await store.probe()
      expect(await store.repository()).toEqual({ state: 'new' })
    })

    test('becomes ready by the first write, under one id for all', async () => {
      const place = await make()
      await Promise.all([0, 1, 2, 3].map((index) => place.open().put(`a/${index}`, Buffer.from('x'))))
      const found = await place.open().repository()
      expect(found).toMatchObject({ state: 'ready', id: expect.stringMatching(/^[0-9a-f-]{36}$/) })
      expect(await place.open().repository()).toEqual(found)
      expect(await keysOf(place.open(), '')).toEqual(['a/0', 'a/1', 'a/2', 'a/3'])
    })

    test('shows no trace of a probe', async () => {
      const store = await storeWith(['a'])
      await store.probe()
      await store.probe()
      expect(await keysOf(store, '')).toEqual(['a'])
    })

    test('is left as it is when there is no unfinished write to remove', async () => {
      const store = await storeWith(['k/0/a/0', 'k/0/a/MANIFEST', 'k/0/b/0'])
      await store.abortUploads('k/0/a/')
      await store.abortUploads('k/9/')
      expect(await keysOf(store, '')).toEqual(['k/0/a/0', 'k/0/a/MANIFEST', 'k/0/b/0'])
    })
  })
}

/** Matches a foreseen failure of a type. */
export function ofType(type: ErrorType): unknown {
  return expect.objectContaining({ type })
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
