import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkStored } from '../../engine/backup/check.ts'
import { verifyBackup } from '../../engine/verify/verify-copy.ts'
import type { Listing } from '../../storage/object-store.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore } from './interfered-store.ts'
import { copy, DIRECTORY, manifestFor, restore } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'

async function backup() {
  const [source, root] = [await temporaryDirectory(), await temporaryDirectory()]
  const names = ['a', 'b', 'c']
  const files = await Promise.all(
    names.map((name, seed) => writeContent(source, { name: `db/${name}`, size: 9000, kind: 'text', seed })),
  )
  const store = new InterferedStore(root, {})
  const copied = await copy(files, { store })
  return { root, store, copied, object: (index: number) => join(root, DIRECTORY, String(index)) }
}

/** A listing that leaves out the objects, or gives them another size. */
function amended(listing: Listing, index: number, size?: number): Listing {
  const objects = listing.objects.flatMap((object) => {
    if (object.key !== `${DIRECTORY}${index}`) return [object]
    return size === undefined ? [] : [{ ...object, size }]
  })
  return { ...listing, objects }
}

describe('before a MANIFEST says that objects are there', () => {
  test('they are, all of them at their size; a MANIFEST is no stranger', async () => {
    const { store, copied } = await backup()
    await checkStored(store, DIRECTORY, copied)
    await store.put(`${DIRECTORY}MANIFEST`, Buffer.from('{}'))
    await checkStored(store, DIRECTORY, copied)
  })

  test('one that is listed late is asked for by its name', async () => {
    const { root, copied } = await backup()
    const late = new InterferedStore(root, { onList: (listing) => amended(listing, 1) })
    await checkStored(late, DIRECTORY, copied)
  })

  test('one that is listed late, and of another size, is found', async () => {
    const { root, copied, object } = await backup()
    await truncate(object(1), 17)
    const late = new InterferedStore(root, { onList: (listing) => amended(listing, 1) })
    await expect(checkStored(late, DIRECTORY, copied)).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}1 has 17 bytes`),
    })
  })

  test.each([
    ['is lost', (path: string) => rm(path), 'is missing'],
    ['was cut off', (path: string) => truncate(path, 5), 'has 5 bytes'],
    ['is empty', (path: string) => truncate(path, 0), 'has 0 bytes'],
    ['is longer', (path: string) => truncate(path, 5000), 'has 5000 bytes'],
  ])('one that %s is found', async (_, harm, message) => {
    for (const index of [0, 1, 2]) {
      const { store, copied, object } = await backup()
      await harm(object(index))
      await expect(checkStored(store, DIRECTORY, copied)).rejects.toMatchObject({
        type: 'CorruptBackup',
        message: expect.stringContaining(`${DIRECTORY}${index} ${message}`),
      })
    }
  })

  test('one that belongs to no file is found', async () => {
    const { store, copied } = await backup()
    await store.put(`${DIRECTORY}3`, Buffer.from('x'))
    await expect(checkStored(store, DIRECTORY, copied)).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}3`),
    })
  })

  test('the listing is believed where it says that an object has another size', async () => {
    const { root, copied } = await backup()
    const stale = new InterferedStore(root, { onList: (listing) => amended(listing, 2, 1) })
    await expect(checkStored(stale, DIRECTORY, copied)).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}2 has 1 bytes`),
    })
  })
})

describe('a backup whose objects are listed late', () => {
  test.each(['tabletkeeper', 'vitess'] as const)('is restored, and is no damaged one (of %s)', async (maker) => {
    const { root, copied } = await backup()
    const late = new InterferedStore(root, { onList: (listing) => amended(amended(listing, 0), 1) })
    const manifest = manifestFor(copied, maker)
    await restore(manifest, { store: late })
    const { signal } = new AbortController()
    const verifying = { manifest, store: late, directory: DIRECTORY, concurrency: 2, signal, onProgress: () => {} }
    expect(await verifyBackup(verifying)).toMatchObject({ files: 3, damagedObjects: 0, warnings: [] })
  })

  test('is neither where one is missing indeed', async () => {
    const { root, copied, object } = await backup()
    await rm(object(2))
    const late = new InterferedStore(root, { onList: (listing) => amended(listing, 1) })
    const manifest = manifestFor(copied, 'tabletkeeper')
    await expect(restore(manifest, { store: late })).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}2 is missing`),
    })
    const { signal } = new AbortController()
    const verifying = { manifest, store: late, directory: DIRECTORY, concurrency: 2, signal, onProgress: () => {} }
    expect(await verifyBackup(verifying)).toMatchObject({ damagedObjects: 1 })
  })
})
