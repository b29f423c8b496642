import {
  appendFile,
  copyFile,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { checkStored } from '../../engine/check.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { DataFile } from '../../mysql/data-directory.ts'
import { FileStore } from '../../storage/file.ts'
import type { PutOptions } from '../../storage/object-store.ts'
import { NO_MOUNTS, smallFileSystem } from '../storage/mounts.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { copy, DIRECTORY, manifestFor, newStore, restore, restoreTo } from './sample-backup.ts'
import { sampleFile, sampleFiles } from './sample-files.ts'

/** Open files of this process below a directory. */
async function openFilesBelow(directory: string): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return links.filter((path) => path.startsWith(directory))
}

async function threeFiles(source: string): Promise<DataFile[]> {
  const files: DataFile[] = []
  for (const name of ['a', 'b', 'c'])
    files.push(await sampleFile(source, 'Data', `db/${name}.ibd`, Buffer.alloc(400_000, name)))
  return files
}

describe('a backup whose files change breaks its fence, and leaves nothing running', () => {
  test.each([
    ['grew', (path: string) => appendFile(path, 'x')],
    ['shrank', (path: string) => truncate(path, 399_999)],
    ['was touched', (path: string) => utimes(path, 1, 1)],
    ['is gone', (path: string) => rm(path)],
    ['became a link', (path: string) => rename(path, `${path}.real`).then(() => symlink(`${path}.real`, path))],
    [
      'was replaced by one that looks the same',
      async (path: string) => {
        const [content, { mtime }] = [await readFile(path), await stat(path)]
        await rename(path, `${path}.old`)
        await writeFile(path, content)
        await utimes(path, mtime, mtime)
      },
    ],
  ])('before it is read: one %s', async (_, change) => {
    const source = await temporaryDirectory()
    const files = await threeFiles(source)
    await change(join(source, 'db/b.ibd'))
    const { store } = await newStore()
    await expect(copy(files, { store })).rejects.toThrow(/db\/b\.ibd was changed/)
    await expect(copy(files, { store })).rejects.toThrow(ofType('FenceBroken'))
    expect(await openFilesBelow(source)).toEqual([])
  })

  test.each([
    ['grows', (path: string) => appendFile(path, Buffer.alloc(3_000_000))],
    ['shrinks', (path: string) => truncate(path, 2_000_000)],
    ['is written to', (path: string) => utimes(path, 1, 1)],
  ])('while it is read: one %s', async (_, change) => {
    const source = await temporaryDirectory()
    const file = await sampleFile(
      source,
      'Data',
      'db/a.ibd',
      Buffer.from(Array.from({ length: 5_000_000 }, (_, at) => (at * at) >> 7)),
    )
    const root = await temporaryDirectory()
    const store = new (class extends FileStore {
      override async put(key: string, body: Buffer | Readable, options?: PutOptions): Promise<number> {
        // Nothing is taken until the file was changed: all but the first chunks is still to be read then.
        await change(file.path)
        return await super.put(key, body, options)
      }
    })(root)
    await expect(copy([file], { store })).rejects.toThrow(ofType('FenceBroken'))
    expect((await new FileStore(root).list(DIRECTORY).catch(() => ({ objects: [] }))).objects).toEqual([])
    expect(await openFilesBelow(source)).toEqual([])
    expect(await openFilesBelow(root)).toEqual([])
  })
})

describe('a backup that fails', () => {
  test('stops the other files, and throws what failed when all have stopped', async () => {
    const source = await temporaryDirectory()
    const files = await threeFiles(source)
    const failure = new TabletkeeperError('StorageUnavailable', 'the store went away')
    const { store } = await newStore()
    const ends: unknown[] = []
    const put = vi.spyOn(store, 'put').mockImplementation(async (key, body, options) => {
      if (!Buffer.isBuffer(body)) body.destroy()
      if (key === `${DIRECTORY}1`) throw failure
      // Like a store that answers no more: it can only end by the signal.
      const { signal } = options ?? {}
      await new Promise((resolve) => (signal?.aborted ? resolve(0) : signal?.addEventListener('abort', resolve)))
      ends.push(signal?.reason)
      throw signal?.reason
    })
    await expect(copy(files, { store, concurrency: 3 })).rejects.toBe(failure)
    expect(ends).toEqual([failure, failure])
    expect(put).toHaveBeenCalledTimes(3)
    expect(await openFilesBelow(source)).toEqual([])
  })

  test('by a cancel throws its reason, and leaves no object, file or handle half done', async () => {
    const source = await temporaryDirectory()
    const files = await sampleFiles(source)
    const { store, root } = await newStore()
    const controller = new AbortController()
    const reason = new Error('cancelled')
    let finished = 0
    vi.spyOn(store, 'put').mockImplementation(async (...put) => {
      const size = await FileStore.prototype.put.apply(store, put)
      finished += 1
      if (finished === 2) controller.abort(reason)
      return size
    })
    await expect(copy(files, { store, signal: controller.signal, concurrency: 2 })).rejects.toBe(reason)
    const left = await readdir(join(root, DIRECTORY))
    expect(left.filter((name) => name.startsWith('.tmp-'))).toEqual([])
    expect(left.length).toBeLessThan(files.length)
    expect(await openFilesBelow(source)).toEqual([])
    expect(await openFilesBelow(root)).toEqual([])
  })

  test('before it begins, when it is cancelled already, reads nothing', async () => {
    const { store } = await newStore()
    const put = vi.spyOn(store, 'put')
    const files = await threeFiles(await temporaryDirectory())
    await expect(copy(files, { store, signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late')
    expect(put).not.toHaveBeenCalled()
  })
})

describe('a restore finds', () => {
  async function backup() {
    const files = await threeFiles(await temporaryDirectory())
    const { store, root } = await newStore()
    const copied = await copy(files, { store })
    return { store, copied, object: (index: number) => join(root, DIRECTORY, String(index)), root }
  }

  test.each(['tabletkeeper', 'vitess'] as const)(
    'an object that is missing, before anything is downloaded (MANIFEST of %s)',
    async (maker) => {
      const { store, copied, object } = await backup()
      await rm(object(1))
      const get = vi.spyOn(store, 'get')
      await expect(restore(manifestFor(copied, maker), { store })).rejects.toMatchObject({
        type: 'CorruptBackup',
        message: expect.stringContaining(`${DIRECTORY}1`),
      })
      expect(get).not.toHaveBeenCalled()
    },
  )

  test.each(['tabletkeeper', 'vitess'] as const)('an object that is cut off (MANIFEST of %s)', async (maker) => {
    const { store, copied, object } = await backup()
    await truncate(object(2), (copied[2]?.stored ?? 0) - 5)
    await expect(restore(manifestFor(copied, maker), { store })).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}2`),
    })
  })

  test.each(['tabletkeeper', 'vitess'] as const)('every byte that is flipped (MANIFEST of %s)', async (maker) => {
    const { store, copied, object } = await backup()
    const sound = await readFile(object(0))
    for (let at = 0; at < sound.length; at += Math.ceil(sound.length / 25)) {
      const flipped = Buffer.from(sound)
      flipped.writeUInt8(flipped.readUInt8(at) ^ 0x10, at)
      await writeFile(object(0), flipped)
      await expect(restore(manifestFor(copied, maker), { store })).rejects.toMatchObject({
        type: 'CorruptBackup',
        message: expect.stringContaining(`${DIRECTORY}0`),
      })
    }
  })

  test('an object of another file, though it is sound in itself', async () => {
    const { store, copied, object } = await backup()
    await copyFile(object(1), object(0))
    await expect(restore(manifestFor(copied, 'vitess'), { store })).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining('CRC-32'),
    })
  })

  test('another size than the MANIFEST has', async () => {
    const { store, copied } = await backup()
    for (const size of [399_999, 400_001, 0]) {
      const wrong = manifestFor(
        copied.map((file) => ({ ...file, size })),
        'tabletkeeper',
      )
      await expect(restore(wrong, { store })).rejects.toMatchObject({
        type: 'CorruptBackup',
        message: expect.stringContaining('plain bytes'),
      })
    }
  })

  test('paths that leave the staging directory or meet, whoever let the MANIFEST pass', async () => {
    const { store, copied } = await backup()
    for (const name of ['../escaped', 'a/../../escaped', '..', '.', '']) {
      const wrong = manifestFor(
        copied.map((file, index) => (index === 0 ? { ...file, name } : file)),
        'tabletkeeper',
      )
      await expect(restore(wrong, { store })).rejects.toThrow(ofType('CorruptBackup'))
    }
    const meeting = manifestFor(
      copied.map((file, index) => (index === 0 ? ({ ...file, base: 'InnoDBData', name: 'db/b.ibd' } as const) : file)),
      'vitess',
    )
    await expect(restore(meeting, { store })).rejects.toThrow(/two files/)
  })

  test('a link in its way, and does not follow it', async () => {
    const { store, copied } = await backup()
    const [staging, elsewhere] = [await temporaryDirectory(), await temporaryDirectory()]
    await sampleFile(staging, 'Data', 'db/other', Buffer.from('x'))
    await symlink(join(elsewhere, 'victim'), join(staging, 'db/a.ibd'))
    await expect(restoreTo(staging, manifestFor(copied, 'vitess'), { store })).rejects.toThrow(ofType('Refused'))
    expect(await readdir(elsewhere)).toEqual([])
  })

  test('that it was cancelled, throws the reason and holds no file open', async () => {
    const { store, copied, root } = await backup()
    const controller = new AbortController()
    const reason = new Error('cancelled')
    vi.spyOn(store, 'get').mockImplementation(async (...get) => {
      controller.abort(reason)
      return await FileStore.prototype.get.apply(store, get)
    })
    const staging = await temporaryDirectory()
    await expect(
      restoreTo(staging, manifestFor(copied, 'tabletkeeper'), { store, signal: controller.signal }),
    ).rejects.toBe(reason)
    expect(await openFilesBelow(staging)).toEqual([])
    expect(await openFilesBelow(root)).toEqual([])
  })

  test.skipIf(NO_MOUNTS !== undefined)(
    'that the disk of the tablet is full, and says that it is not the storage',
    async () => {
      const { store, copied } = await backup()
      const staging = await smallFileSystem(600)
      await expect(restoreTo(staging, manifestFor(copied, 'tabletkeeper'), { store })).rejects.toMatchObject({
        type: 'StorageFull',
        message: expect.stringContaining("on the tablet's host"),
      })
      expect(await openFilesBelow(staging)).toEqual([])
    },
  )
})

describe('the check before publication finds', () => {
  test('objects that are missing, of another size, or not the backup’s; a MANIFEST is no stranger', async () => {
    const { store } = await newStore()
    const copied = await copy(await threeFiles(await temporaryDirectory()), { store })
    await store.put(`${DIRECTORY}MANIFEST`, Buffer.from('{}'))
    await checkStored(store, DIRECTORY, copied)

    await store.put(`${DIRECTORY}3`, Buffer.from('x'))
    await expect(checkStored(store, DIRECTORY, copied)).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}3`),
    })
    await store.delete([`${DIRECTORY}3`])
    await store.put(`${DIRECTORY}1`, Buffer.from('x'))
    await expect(checkStored(store, DIRECTORY, copied)).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}1 has 1 bytes`),
    })
    await store.delete([`${DIRECTORY}1`])
    await expect(checkStored(store, DIRECTORY, copied)).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}1 is missing`),
    })
  })
})
