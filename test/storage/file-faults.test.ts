import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { FileStore } from '../../storage/file/file.ts'
import { freeze, mount, NO_MOUNTS, smallDisk, smallFileSystem, unmount } from './mounts.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const NAME = NO_MOUNTS === undefined ? 'a file store' : `a file store (skipped: ${NO_MOUNTS})`

const KEY = 'commerce/0/2026-11-24.143446.zone1-0000000101/0'

function stream(mebibytes: number): Readable {
  return Readable.from(
    Array.from({ length: mebibytes }, () => randomBytes(1024 * 1024)),
    { objectMode: false },
  )
}

describe.skipIf(NO_MOUNTS !== undefined)(NAME, () => {
  test.each([
    ['in memory', () => smallFileSystem(4096)],
    ['on a disk', () => smallDisk(8)],
  ])(
    'on a file system that becomes full %s says so, keeps what is there, and takes objects again when there is room',
    async (_, makeRoot) => {
      const root = await makeRoot()
      const store = new FileStore(root)
      await store.put('kept', Buffer.from('kept'))
      await expect(store.put(KEY, stream(16))).rejects.toThrow(ofType('StorageFull'))
      expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['kept'])
      expect(await readdir(join(root, KEY, '..'))).toEqual([])
      expect(await store.put(KEY, stream(1))).toBe(1024 * 1024)
    },
  )

  test('on a file system that has room for no byte more is told by its probe', async () => {
    const root = await smallFileSystem(64)
    const store = new FileStore(root)
    await store.put('a', Buffer.from('x'))
    let filled = 0
    while (filled < 100 && (await store.put(`fill-${filled}`, Buffer.alloc(4096)).catch(() => 0)) > 0) filled += 1
    await expect(store.probe()).rejects.toThrow(ofType('StorageFull'))
    expect((await readdir(root)).filter((name) => name.startsWith('.tmp-'))).toEqual([])
  })

  test('that is mounted read-only is readable, and refuses writes, removals and probes as denied', async () => {
    const root = await smallFileSystem(1024)
    const store = new FileStore(root)
    await store.put(KEY, Buffer.from('data'))
    await mount('-o', 'remount,ro', root)
    await expect(store.put('commerce/0/x', Buffer.from('x'))).rejects.toThrow(ofType('StorageDenied'))
    await expect(store.put('other/0/x', stream(1))).rejects.toThrow(/read-only/)
    await expect(store.delete([KEY])).rejects.toThrow(ofType('StorageDenied'))
    await expect(store.probe()).rejects.toThrow(ofType('StorageDenied'))
    await store.delete(['commerce/0/missing'])
    expect((await store.list('')).objects).toHaveLength(1)
    expect(await store.head(KEY)).toMatchObject({ size: 4 })
  })

  test('without permission says denied, and does not try for ever', async ({ skip }) => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await store.put('commerce/0/x', Buffer.from('x'))
    await freeze(root).catch((error: Error) => skip(`chattr does not work here: ${error.message}`))
    await freeze(join(root, 'commerce/0'))
    await expect(store.put('commerce/0/y', Buffer.from('y'))).rejects.toThrow(ofType('StorageDenied'))
    await expect(store.put('other/0/y', Buffer.from('y'))).rejects.toThrow(ofType('StorageDenied'))
    await expect(store.delete(['commerce/0/x'])).rejects.toThrow(ofType('StorageDenied'))
    await expect(store.probe()).rejects.toThrow(ofType('StorageDenied'))
    expect(await store.head('commerce/0/x')).toBeDefined()
  })

  test('whose mount is gone never says that there are no backups, in this process or in a new one', async () => {
    const [root, disk] = [await temporaryDirectory(), await temporaryDirectory()]
    await mount('--bind', disk, root)
    const store = new FileStore(root)
    await store.put(KEY, Buffer.from('data'))
    await store.list('')
    await unmount(root)
    for (const process of [store, new FileStore(root)]) {
      await expect(process.list('commerce/0/')).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(process.head(KEY)).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(process.get(KEY)).rejects.toThrow(ofType('StorageUnavailable'))
      await expect(process.delete([KEY])).rejects.toThrow(ofType('StorageUnavailable'))
    }
    await expect(store.put(KEY, Buffer.from('data'))).rejects.toThrow(ofType('StorageUnavailable'))
    expect(await readdir(root)).toEqual([])

    await mount('--bind', disk, root)
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual([KEY])
    await unmount(root)
  })

  test('whose mount goes between a look and a write has nothing made in its place', async () => {
    const [root, disk] = [await temporaryDirectory(), await temporaryDirectory()]
    await mount('--bind', disk, root)
    const store = new FileStore(root)
    await store.put(KEY, Buffer.from('data'))
    const look = store.repository.bind(store)
    vi.spyOn(store, 'repository').mockImplementationOnce(async () => {
      const found = await look()
      await unmount(root)
      return found
    })
    await expect(store.put(KEY, Buffer.from('data'))).rejects.toThrow(ofType('StorageUnavailable'))
    expect(await readdir(root)).toEqual([])
  })
})
