import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { describeUploads } from '../../storage/conformance/uploads.ts'
import { FILE_MODE } from '../../storage/file/durable-file.ts'
import { FileStore } from '../../storage/file/file.ts'
import type { Upload } from '../../storage/object-store.ts'
import { hang } from './hung-file.ts'
import { afterPowerLoss, freeze, mount, NO_MOUNTS, overlay, smallDisk, smallFileSystem, unmount } from './mounts.ts'
import { contentOf, ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const DIRECTORY = 'commerce/0/2026-11-24.143446.zone1-0000000101/'
const MEBIBYTE = 1024 * 1024

describe('an upload to a file store', () => {
  test('takes objects that other threads write as files', async () => {
    const store = new FileStore(await temporaryDirectory())
    const upload = await store.upload(DIRECTORY)
    const writers = ['0', '1', '2'].map((name, fill) => {
      const workerData = { path: upload.localPath(name), fill, size: 300_000 }
      return new Worker(new URL('local-writer.ts', import.meta.url), { workerData })
    })
    await Promise.all(writers.map((writer) => once(writer, 'exit')))
    expect((await store.list('')).objects).toEqual([])
    await upload.commit(['0', '1', '2'])
    for (const [fill, name] of ['0', '1', '2'].entries()) {
      const path = store.localPath(DIRECTORY + name)
      expect(await readFile(path)).toEqual(Buffer.alloc(300_000, fill))
      expect((await stat(path)).mode & 0o777).toBe(FILE_MODE)
    }
  })

  test('leads no path out of its directory', async () => {
    const store = new FileStore(await temporaryDirectory())
    const upload = await store.upload(DIRECTORY)
    for (const name of ['../0', '', 'a/b', '.']) expect(() => upload.localPath(name)).toThrow(ofType('InvalidInput'))
    for (const key of ['../0', '/0', 'a/../../0']) expect(() => store.localPath(key)).toThrow(ofType('InvalidInput'))
    for (const id of ['0'.repeat(16), 'F'.repeat(16), 'f'.repeat(15), `/${'f'.repeat(15)}`]) {
      await expect(store.upload(DIRECTORY, id)).rejects.toThrow(ofType('InvalidInput'))
    }
  })

  test('makes files that owner and group alone may read, and keeps to the byte what it was asked to', async () => {
    const root = await temporaryDirectory()
    const upload = await new FileStore(root).upload(DIRECTORY)
    const bytes = randomBytes(10_000)
    const first = await upload.open('0', 0)
    await first.write(bytes)
    await first.finish()
    await first.close()
    expect((await stat(upload.localPath('0'))).mode & 0o777).toBe(FILE_MODE)
    for (const [from, kept] of [
      [20_000, 10_000],
      [9_999, 9_999],
      [4_097, 4_097],
      [1, 1],
      [1, 1],
      [0, 0],
    ] as const) {
      const writer = await upload.open('0', from)
      expect(writer.kept).toBe(kept)
      await writer.close()
      expect(await readFile(upload.localPath('0'))).toEqual(bytes.subarray(0, kept))
    }
  })

  test('cuts nothing off when it hung at the file until it was given up', async () => {
    const upload = await new FileStore(await temporaryDirectory()).upload(DIRECTORY)
    await upload.put('0', randomBytes(10_000))
    const hung = await hang(upload.localPath('0'))
    const [givenUp, reason] = [new AbortController(), new Error('given up')]
    const opening = expect(upload.open('0', 10, givenUp.signal)).rejects.toBe(reason)
    await hung.reached
    givenUp.abort(reason)
    hung.release()
    await opening
    expect((await stat(upload.localPath('0'))).size).toBe(10_000)
  })

  test('hides objects that are whole until it is committed, and all of them where one is refused', async () => {
    const store = new FileStore(await temporaryDirectory())
    await store.put(`${DIRECTORY}1`, Buffer.from('old'))
    const upload = await store.upload(DIRECTORY)
    for (const name of ['0', '1', '2']) {
      const writer = await upload.open(name, 0)
      await writer.write(Buffer.from('new'))
      await writer.finish()
      await writer.close()
    }
    const keys = async () => (await store.list('')).objects.map(({ key }) => key)
    expect(await keys()).toEqual([`${DIRECTORY}1`])
    await expect(upload.commit(['0', '1', '2'])).rejects.toThrow(ofType('Refused'))
    expect(await keys()).toEqual([`${DIRECTORY}1`])
    await upload.commit(['0', '2'])
    expect(await keys()).toEqual(['0', '1', '2'].map((name) => DIRECTORY + name))
  })

  test('of 20 000 small objects is committed in one go, and again when that was cut off', async () => {
    const store = new FileStore(await temporaryDirectory())
    const upload = await store.upload(DIRECTORY)
    const names = Array.from({ length: 20_000 }, (_, index) => String(index))
    for (let at = 0; at < names.length; at += 100) {
      await Promise.all(names.slice(at, at + 100).map((name) => writeFile(upload.localPath(name), name)))
    }
    await upload.commit(names.slice(0, 5_000))
    await upload.commit(names)
    const { objects } = await store.list(DIRECTORY)
    expect(objects.map(({ key }) => key)).toEqual(names.map((name) => DIRECTORY + name).sort())
    expect(objects.every(({ key, size }) => size === key.length - DIRECTORY.length)).toBe(true)
    const lost = names.map((name) => `x${name}`)
    await expect(upload.commit(lost)).rejects.toThrow(ofType('StorageUnavailable'))
  })

  test('whose repository was replaced is given up, and nothing is written to the other one', async () => {
    const root = await temporaryDirectory()
    const upload = await new FileStore(root).upload(DIRECTORY)
    for (const name of await readdir(root)) await rm(join(root, name), { recursive: true })
    await new FileStore(root).put('other', Buffer.from('x'))
    await expect(upload.open('0', 0)).rejects.toThrow(ofType('StorageUnavailable'))
    await expect(upload.commit(['0'])).rejects.toThrow(ofType('StorageUnavailable'))
    expect((await readdir(root)).sort()).toEqual(['.tabletkeeper-repository', 'other'])
  })

  test('makes its directory again when another host has found it empty and removed it', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    const upload = await store.upload(DIRECTORY)
    await new FileStore(root).abortUploads('')
    expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
    const writer = await upload.open('0', 0)
    await writer.write(Buffer.from('x'))
    await writer.close()
    await upload.commit(['0'])
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual([`${DIRECTORY}0`])
  })
})

const NAME = NO_MOUNTS === undefined ? 'a file store' : `a file store (skipped: ${NO_MOUNTS})`

describe.skipIf(NO_MOUNTS !== undefined)(NAME, () => {
  const fileSystems = [
    ['in memory', () => smallFileSystem(65_536)],
    ['on a disk', () => smallDisk(96)],
    ['on an overlay', async () => await overlay(await temporaryDirectory())],
  ] as const
  describe.each(fileSystems)('%s', (name, makeRoot) => {
    describeUploads(name, async () => {
      const root = await makeRoot()
      return { open: () => new FileStore(root) }
    })
  })

  test.each([
    ['in memory', () => smallFileSystem(4096)],
    ['on a disk', () => smallDisk(8)],
  ])('that becomes full %s says so of the object, and takes the rest of it when there is room', async (_, makeRoot) => {
    const store = new FileStore(await makeRoot())
    await store.put('filler', randomBytes(2 * MEBIBYTE))
    const upload = await store.upload(DIRECTORY)
    const pieces = Array.from({ length: 16 }, () => randomBytes(MEBIBYTE))
    const writer = await upload.open('0', 0)
    let written = 0
    const writing = async () => {
      for (const piece of pieces) {
        await writer.write(piece)
        written += 1
      }
    }
    await expect(writing()).rejects.toThrow(
      expect.objectContaining({ type: 'StorageFull', message: expect.stringContaining(`${DIRECTORY}0`) }),
    )
    await writer.close()
    expect(written).toBeGreaterThan(0)
    await store.delete(['filler'])
    const rest = await upload.open('0', written * MEBIBYTE)
    expect(rest.kept).toBe(written * MEBIBYTE)
    await rest.write(pieces[written] ?? Buffer.alloc(0))
    await rest.finish()
    await rest.close()
    await upload.commit(['0'])
    expect(Buffer.concat(pieces.slice(0, written + 1)).equals(await contentOf(store, `${DIRECTORY}0`))).toBe(true)
  })

  test.each([
    ['when it is committed', (upload: Upload) => upload.commit(['0'])],
    ['when it is written out', (upload: Upload) => upload.writeOut()],
  ])(
    'whose disk cannot keep what an upload has written says so %s, and that nobody may go on with it',
    async (_, sync) => {
      const store = new FileStore(await smallDisk(64, await smallFileSystem(6_144)))
      const upload = await store.upload(DIRECTORY)
      // Into memory, as threads write small objects: the disk, which promises more room than it has, is asked by the sync.
      await writeFile(upload.localPath('0'), randomBytes(10 * MEBIBYTE))
      // Of which type depends on who is first: the sync, or the kernel, which makes such a disk read-only.
      await expect(sync(upload)).rejects.toThrow(
        expect.objectContaining({ retryable: false, hint: expect.stringContaining('may be lost') }),
      )
    },
  )

  test.each([
    ['on a disk, synced as a whole', async (disk: string) => disk, ''],
    ['on an overlay, whose files are synced one by one', overlay, 'upper'],
  ])('%s, has committed objects whole after a loss of power, and shows no others', async (_, makeRoot, below) => {
    const disk = await smallDisk(64)
    const upload = await new FileStore(await makeRoot(disk)).upload(DIRECTORY)
    const objects = Array.from({ length: 200 }, (_, index) => ({ name: String(index), bytes: randomBytes(20_000) }))
    for (const { name, bytes } of objects) await writeFile(upload.localPath(name), bytes)
    const large = await upload.open('large', 0)
    await large.write(randomBytes(10 * MEBIBYTE))
    await upload.commit(objects.map(({ name }) => name))
    await large.close()
    const store = new FileStore(join(await afterPowerLoss(disk), below))
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(
      objects.map(({ name }) => DIRECTORY + name).sort(),
    )
    for (const { name, bytes } of objects) {
      expect(bytes.equals(await contentOf(store, DIRECTORY + name))).toBe(true)
    }
  })

  test('on an overlay writes out the files that are open, while others of them are finished and closed', async () => {
    const store = new FileStore(await overlay(await temporaryDirectory()))
    const upload = await store.upload(DIRECTORY)
    const names = Array.from({ length: 200 }, (_, index) => String(index))
    const writers = await Promise.all(names.map((name) => upload.open(name, 0)))
    for (const writer of writers) await writer.write(randomBytes(20_000))
    const writing = upload.writeOut()
    writing.catch(() => {})
    for (const writer of writers.toReversed()) {
      await writer.finish()
      await writer.close()
    }
    await writing
    await upload.commit(names)
    expect((await store.list('')).objects).toHaveLength(names.length)
  })

  test('says denied where its directory may not be written', async ({ skip }) => {
    const root = await temporaryDirectory()
    const upload = await new FileStore(root).upload(DIRECTORY)
    await (await upload.open('0', 0)).close()
    await freeze(join(root, DIRECTORY)).catch((error: Error) => skip(`chattr does not work here: ${error.message}`))
    await expect(upload.open('1', 0)).rejects.toThrow(ofType('StorageDenied'))
    await expect(upload.commit(['0'])).rejects.toThrow(ofType('StorageDenied'))
  })

  test('whose mount is gone takes nothing more of an upload, and goes on with it when it is back', async () => {
    const [root, disk] = [await temporaryDirectory(), await temporaryDirectory()]
    await mount('--bind', disk, root)
    const store = new FileStore(root)
    const upload = await store.upload(DIRECTORY)
    const writer = await upload.open('0', 0)
    await writer.write(Buffer.from('zero'))
    await writer.finish()
    await writer.close()
    await unmount(root)
    await expect(upload.open('0', 4)).rejects.toThrow(ofType('StorageUnavailable'))
    await expect(upload.commit(['0'])).rejects.toThrow(ofType('StorageUnavailable'))
    await expect(store.upload(DIRECTORY, upload.id)).rejects.toThrow(ofType('StorageUnavailable'))
    expect(await readdir(root)).toEqual([])
    await mount('--bind', disk, root)
    await upload.commit(['0'])
    expect(String(await contentOf(store, `${DIRECTORY}0`))).toBe('zero')
    await unmount(root)
  })
})
