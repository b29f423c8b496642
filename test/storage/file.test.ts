import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { FileStore } from '../../storage/file/file.ts'
import { openStore } from '../../storage/kinds.ts'
import { describeObjectStore } from './conformance.ts'
import { describeLeftovers } from './leftovers.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const newStore = async () => {
  const root = await temporaryDirectory()
  return { open: () => new FileStore(root) }
}
describeObjectStore('a file store', newStore)
describeLeftovers('a file store', newStore)

const BACKUP = 'commerce/0/2026-11-24.143446.zone1-0000000101'

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}

test('the configuration opens it', async () => {
  const root = await temporaryDirectory()
  const store = await openStore({ kind: 'file', root })
  expect(store.description).toBe(`file:${root}`)
  expect(await store.repository()).toEqual({ state: 'new' })
})

test('objects are plain files where Vitess looks for them, and nobody but owner and group reads them', async () => {
  const root = await temporaryDirectory()
  const store = new FileStore(root)
  await store.put(`${BACKUP}/0`, Buffer.from('data'))
  expect(await readFile(join(root, BACKUP, '0'), 'utf8')).toBe('data')
  expect((await stat(join(root, BACKUP, '0'))).mode & 0o777).toBe(0o640)
  expect((await stat(join(root, BACKUP))).mode & 0o777).toBe(0o750)
})

describe('the root of a file store', () => {
  test('that does not exist is a mistake in the configuration, and is not created', async () => {
    const root = join(await temporaryDirectory(), 'missing')
    const store = new FileStore(root)
    const calls = [store.repository(), store.list(''), store.put('a', Buffer.from('x')), store.probe(), store.head('a')]
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { type: 'InvalidConfig' } })
    }
    await expect(stat(root)).rejects.toThrow('ENOENT')
  })

  test('that is a file is a mistake in the configuration', async () => {
    const root = join(await temporaryDirectory(), 'file')
    await writeFile(root, '')
    await expect(new FileStore(root).list('')).rejects.toThrow(ofType('InvalidConfig'))
  })

  test('that holds something else is never written to', async () => {
    const root = await temporaryDirectory()
    await write(join(root, 'home/user/letter.txt'), 'dear')
    const store = new FileStore(root)
    await expect(store.put('a', Buffer.from('x'))).rejects.toThrow(ofType('InvalidConfig'))
    await expect(store.list('commerce/0/')).rejects.toThrow(ofType('InvalidConfig'))
    await expect(store.probe()).rejects.toThrow(ofType('InvalidConfig'))
    expect(await readdir(root)).toEqual(['home'])
  })

  test('with keyspaces and shards but no backup is not taken for a repository', async () => {
    const root = await temporaryDirectory()
    await mkdir(join(root, 'commerce/0'), { recursive: true })
    await expect(new FileStore(root).list('commerce/0/')).rejects.toThrow(ofType('InvalidConfig'))
  })

  test('that Vitess wrote to is read as it is, and gets its marker by the first write', async () => {
    const root = await temporaryDirectory()
    await write(join(root, BACKUP, 'MANIFEST'), '{}')
    const store = new FileStore(root)
    expect(await store.repository()).toEqual({ state: 'ready', id: null })
    expect((await store.list('commerce/0/', { delimiter: '/' })).prefixes).toEqual([`${BACKUP}/`])
    await store.probe()
    expect(await store.repository()).toEqual({ state: 'ready', id: null })
    await store.put('commerce/0/x', Buffer.from('x'))
    expect(await store.repository()).toEqual({ state: 'ready', id: expect.any(String) })
  })

  test('of a new file system is new, though lost+found and snapshots are in it', async () => {
    const root = await temporaryDirectory()
    await mkdir(join(root, 'lost+found'))
    await mkdir(join(root, '.snapshot'))
    const store = new FileStore(root)
    expect(await store.repository()).toEqual({ state: 'new' })
    await store.put('a', Buffer.from('x'))
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['a'])
  })

  test('whose marker cannot be read as one is refused', async () => {
    const root = await temporaryDirectory()
    await writeFile(join(root, '.tabletkeeper-repository'), 'half a lin')
    await expect(new FileStore(root).list('')).rejects.toThrow(ofType('InvalidConfig'))
  })

  test('that turns into another repository, or into none, is refused from then on', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await store.put('a', Buffer.from('x'))
    await store.list('')
    await rm(root, { recursive: true })
    await mkdir(root)
    await expect(store.put('a', Buffer.from('x'))).rejects.toThrow(ofType('StorageUnavailable'))
    await new FileStore(root).put('b', Buffer.from('x'))
    await expect(store.list('')).rejects.toThrow(ofType('StorageUnavailable'))
    await expect(store.put('a', Buffer.from('x'))).rejects.toThrow(/is not the repository that it was/)
  })
})

describe('files of a file store', () => {
  test('that were being written when the host died are not listed, and can be removed for one backup alone', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await store.put(`${BACKUP}/0`, Buffer.from('x'))
    await write(join(root, BACKUP, '.tmp-0123456789abcdef-1'), 'half')
    await write(join(root, `${BACKUP}0`, '.tmp-0123456789abcdef-0'), 'half')
    await write(join(root, 'commerce/80-', '.tmp-0123456789abcdef-x'), 'half')
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual([`${BACKUP}/0`])

    await store.abortUploads(`${BACKUP}/`)
    expect(await readdir(join(root, BACKUP))).toEqual(['0'])
    expect(await readdir(join(root, `${BACKUP}0`))).toHaveLength(1)

    await store.abortUploads(BACKUP)
    expect(await readdir(join(root, 'commerce/0'))).toEqual(['2026-11-24.143446.zone1-0000000101'])
    expect(await readdir(join(root, 'commerce/80-'))).toHaveLength(1)
  })

  test('are found as a prefix when nothing else is left of a backup, so that somebody cleans up', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await store.put('commerce/1/x', Buffer.from('x'))
    await write(join(root, BACKUP, '.tmp-0123456789abcdef-0'), 'half')
    expect((await store.list('commerce/0/', { delimiter: '/' })).prefixes).toEqual([`${BACKUP}/`])
    await store.abortUploads(`${BACKUP}/`)
    expect(await readdir(join(root, 'commerce'))).toEqual(['1'])
  })

  test('leave no temporary file when their body fails, and no directory that was made for them once somebody cleans up', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await store.put('kept', Buffer.from('x'))
    const body = new Readable({
      read() {
        this.destroy(new Error('broken'))
      },
    })
    await expect(store.put(`${BACKUP}/0`, body)).rejects.toThrow('broken')
    expect(await readdir(join(root, BACKUP))).toEqual([])
    await store.abortUploads(`${BACKUP}/`)
    expect((await readdir(root)).sort()).toEqual(['.tabletkeeper-repository', 'kept'])
  })

  test('take the directories that they leave empty with them, never the root', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await store.put(`${BACKUP}/0`, Buffer.from('x'))
    await store.put('other/0/x', Buffer.from('x'))
    await store.delete([`${BACKUP}/0`])
    expect((await readdir(root)).sort()).toEqual(['.tabletkeeper-repository', 'other'])
    await store.delete(['other/0/x'])
    expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
  })

  test('are never found through a link that leads elsewhere', async () => {
    const [root, elsewhere] = [await temporaryDirectory(), await temporaryDirectory()]
    const store = new FileStore(root)
    await store.put('a', Buffer.from('x'))
    await writeFile(join(elsewhere, 'secret'), 'secret')
    await symlink(elsewhere, join(root, 'b'))
    await symlink(root, join(root, 'loop'))
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['a'])
  })

  test('and directories of one name do not mix', async () => {
    const store = new FileStore(await temporaryDirectory())
    await store.put('a/b', Buffer.from('x'))
    await expect(store.put('a', Buffer.from('x'))).rejects.toThrow(ofType('InvalidInput'))
    await expect(store.put('a/b/c', Buffer.from('x'))).rejects.toThrow(ofType('InvalidInput'))
  })
})
