import { describe, expect, test } from 'vitest'
import { keysOf, type MakeStore, ofType, storeWith } from './store-under-test.ts'

/** Of `conformance.ts`: what a store promises of names, listings and the repository itself. */
export function describeRepository(name: string, make: MakeStore): void {
  describe(`${name}: listing`, () => {
    const KEYS = ['k/0/a/0', 'k/0/a/1', 'k/0/a/MANIFEST', 'k/0/ab/0', 'k/0/note', 'k/-80/a/0', 'k2/0/a/0']

    test('finds what starts with a prefix, sorted, wherever the prefix is cut', async () => {
      const store = await storeWith(make, KEYS)
      for (const prefix of ['', 'k', 'k/', 'k/0/a', 'k/0/a/', 'k/0/a/M', 'k/0/a/MANIFEST', 'k/1', 'nothing/at/all/']) {
        expect(await keysOf(store, prefix)).toEqual(KEYS.filter((key) => key.startsWith(prefix)).sort())
      }
    })

    test('shows one level with a delimiter', async () => {
      const store = await storeWith(make, KEYS)
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
      const store = await storeWith(make, ['abc'])
      const [object] = (await store.list('')).objects
      expect(object?.size).toBe(3)
      expect(Math.abs(Number(object?.modified) - Date.now())).toBeLessThan(60_000)
      expect(await store.head('abc')).toEqual(object)
    })

    test('forgets what was removed, and nothing beside it', async () => {
      const store = await storeWith(make, KEYS)
      await store.delete(['k/0/a/0', 'k/0/a/1', 'k/0/a/MANIFEST', 'k/0/missing'])
      expect((await store.list('k/0/', { delimiter: '/' })).prefixes).toEqual(['k/0/ab/'])
      await store.delete(await keysOf(store, ''))
      expect(await store.list('')).toEqual({ objects: [], prefixes: [] })
      expect(await store.repository()).toMatchObject({ state: 'ready' })
    })

    test('and removal are complete beyond a thousand objects', async () => {
      const store = await storeWith(make)
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
      const store = await storeWith(make, ['a'])
      await expect(store.put(key, Buffer.from('x'))).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.get(key)).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.head(key)).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.delete(['a', key])).rejects.toThrow(ofType('InvalidInput'))
      expect(await keysOf(store, '')).toEqual(['a'])
    })

    test.each(['/', '../', 'a/../', 'a//', './', 'a/.tmp-'])('%j is refused as a prefix', async (prefix) => {
      const store = await storeWith(make, ['a'])
      await expect(store.list(prefix)).rejects.toThrow(ofType('InvalidInput'))
      await expect(store.abortUploads(prefix)).rejects.toThrow(ofType('InvalidInput'))
    })

    test('of a backup are taken', async () => {
      const keys = [
        'commerce/-80/2026-11-24.143446.zone1-0000000101/MANIFEST',
        'commerce/80-/2026-11-24.143446.zone1-0000000101/185',
      ]
      expect(await keysOf(await storeWith(make, keys), '')).toEqual(keys)
    })
  })

  describe(`${name}: a repository`, () => {
    test('that is new never says that nothing is there', async () => {
      const store = await storeWith(make)
      expect(await store.repository()).toEqual({ state: 'new' })
      await expect(store.list('')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.list('k/0/', { delimiter: '/' })).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.get('a')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.head('a')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.delete(['a'])).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(store.abortUploads('a')).rejects.toThrow(ofType('StorageUnavailable'))
    })

    test('stays new when it is probed', async () => {
      const store = await storeWith(make)
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
      const store = await storeWith(make, ['a'])
      await store.probe()
      await store.probe()
      expect(await keysOf(store, '')).toEqual(['a'])
    })

    test('is left as it is when there is no unfinished write to remove', async () => {
      const store = await storeWith(make, ['k/0/a/0', 'k/0/a/MANIFEST', 'k/0/b/0'])
      await store.abortUploads('k/0/a/')
      await store.abortUploads('k/9/')
      expect(await keysOf(store, '')).toEqual(['k/0/a/0', 'k/0/a/MANIFEST', 'k/0/b/0'])
    })
  })
}
