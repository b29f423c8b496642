import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseShardName } from '../../model/shard-name.ts'
import { type Capabilities, capabilitiesOf, commonCapabilities } from '../../storage/capabilities.ts'
import { FileStore } from '../../storage/file/file.ts'
import { initializeRepository } from '../../storage/initialize.ts'
import { InterferedStore } from '../engine/interfered-store.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const SHARD = parseShardName('commerce/0')
const BACKUP = 'commerce/0/2026-11-24.143446.zone1-0000000101'

const ALL: Capabilities = {
  conditionalCreate: 'enforced',
  rangedReads: true,
  listing: true,
  removal: 'allowed',
  unfinishedUploads: null,
}

describe('what a store can do', () => {
  test('is told of files, and nothing is left of the trial, not even a repository', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    expect(await capabilitiesOf(store)).toEqual(ALL)
    expect(await readdir(root)).toEqual([])
    expect(await store.repository()).toEqual({ state: 'new' })
  })

  test('is not told by a store that has no word for it, but it is proven to work', async () => {
    const root = await temporaryDirectory()
    expect(await capabilitiesOf(new InterferedStore(root, {}))).toBeUndefined()
    await expect(capabilitiesOf(new InterferedStore(join(root, 'missing'), {}))).rejects.toThrow(
      ofType('InvalidConfig'),
    )
  })

  test('fails as a probe does', async () => {
    const root = await temporaryDirectory()
    await expect(capabilitiesOf(new FileStore(join(root, 'missing')))).rejects.toThrow(ofType('InvalidConfig'))
  })

  test('of several places is what all of them can do', () => {
    expect(commonCapabilities([])).toBeUndefined()
    expect(commonCapabilities([ALL])).toEqual(ALL)
    const uploads = { listing: 'allowed', removal: 'unknown' } as const
    const poor = { ...ALL, conditionalCreate: 'ignored', rangedReads: false, removal: 'denied' } as const
    expect(commonCapabilities([{ ...ALL, unfinishedUploads: uploads }, poor, ALL])).toEqual({
      ...poor,
      unfinishedUploads: uploads,
    })
    const fewer = { listing: 'denied', removal: 'allowed' } as const
    expect(
      commonCapabilities([
        { ...ALL, unfinishedUploads: uploads },
        { ...ALL, unfinishedUploads: fewer },
      ])?.unfinishedUploads,
    ).toEqual({ listing: 'denied', removal: 'unknown' })
  })
})

describe('a repository that is made on purpose', () => {
  test('is its marker and nothing else, and is made once', async () => {
    const root = await temporaryDirectory()
    const made = await initializeRepository(new FileStore(root), SHARD)
    expect(made).toEqual({ outcome: 'made', id: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
    const store = new FileStore(root)
    expect(await initializeRepository(store, SHARD)).toEqual({ outcome: 'ready already', id: made.id })
    expect(await store.list('')).toEqual({ objects: [], prefixes: [] })
  })

  test('by several at once has one id, whoever is quicker', async () => {
    for (let round = 0; round < 30; round++) {
      const root = await temporaryDirectory()
      const all = await Promise.all([0, 1, 2, 3].map(() => initializeRepository(new FileStore(root), SHARD)))
      expect(new Set(all.map(({ id }) => id)).size).toBe(1)
      expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
    }
  })

  test('is refused where something else is, which stays as it is', async () => {
    const root = await temporaryDirectory()
    await writeFile(join(root, 'holidays.jpg'), 'x')
    await expect(initializeRepository(new FileStore(root), SHARD)).rejects.toThrow(ofType('InvalidConfig'))
    expect(await readdir(root)).toEqual(['holidays.jpg'])
  })

  test('is there already where Vitess has written backups, without an id', async () => {
    const root = await temporaryDirectory()
    const manifest = join(root, BACKUP, 'MANIFEST')
    await mkdir(dirname(manifest), { recursive: true })
    await writeFile(manifest, '{}')
    expect(await initializeRepository(new FileStore(root), SHARD)).toEqual({ outcome: 'ready already', id: null })
    expect(await readdir(root)).toEqual(['commerce'])
  })
})
