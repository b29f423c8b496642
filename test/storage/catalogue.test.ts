import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TabletkeeperError } from '../../model/errors.ts'
import { formatManifest } from '../../model/manifest.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { listBackups, readBackup } from '../../storage/catalogue/catalogue.ts'
import { findBackup } from '../../storage/catalogue/find-backup.ts'
import { removeBackup } from '../../storage/catalogue/remove-backup.ts'
import { storageError } from '../../storage/file/errors.ts'
import { FileStore } from '../../storage/file/file.ts'
import { manifestOf, nameAt, SHARD, storeBackup, storeUnfinished } from './sample-backup.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const newStore = async () => new FileStore(await temporaryDirectory())

describe('the list of backups', () => {
  test('is chronological, whatever the tablets are called and in whatever order they were made', async () => {
    const store = await newStore()
    const names = [
      nameAt('000001', 'zone1-0000000200'),
      nameAt('000002', 'a-zone-0000000100'),
      nameAt('000002', 'zone1-0000000100'),
      nameAt('000002', 'zone1-2-0000000100'),
      nameAt('235959', 'zone0-0000000001'),
    ]
    for (const name of [names[4], names[2], names[0], names[3], names[1]])
      if (name) await storeBackup(store, SHARD, name)
    const { entries } = await listBackups(store, SHARD)
    expect(entries.map(({ name }) => name)).toEqual(names)
    expect(entries.map(({ time }) => time.getTime())).toEqual(
      entries.map(({ time }) => time.getTime()).toSorted((a, b) => a - b),
    )
    expect(entries[0]).toMatchObject({
      tablet: 'zone1-0000000200',
      time: new Date('2026-11-24T00:00:01Z'),
      state: 'complete',
    })
  })

  test('tells complete, incomplete and corrupt ones apart, and why', async () => {
    const store = await newStore()
    await storeBackup(store, SHARD, nameAt('000001'))
    await storeUnfinished(store, SHARD, nameAt('000002'))
    await storeBackup(store, SHARD, nameAt('000003'), '{"BackupName": ')
    await storeBackup(store, SHARD, nameAt('000004'), formatManifest(manifestOf(SHARD, nameAt('000001'))))
    const { entries } = await listBackups(store, SHARD)
    expect(entries).toMatchObject([
      { state: 'complete', manifest: { BackupName: nameAt('000001'), sizes: { files: 1 } } },
      { state: 'incomplete' },
      { state: 'corrupt', reason: expect.stringContaining('000003.zone1-0000000101/MANIFEST') },
      { state: 'corrupt', reason: expect.stringContaining(nameAt('000001')) },
    ])
    // A shard of 100,000 files has lists of tens of megabytes in each MANIFEST.
    expect(entries[0]).not.toHaveProperty('manifest.FileEntries')
  })

  test('shows a backup of which nothing but an unfinished write is left', async () => {
    const root = await temporaryDirectory()
    const store = new FileStore(root)
    await storeBackup(store, SHARD, nameAt('000001'))
    await mkdir(join(root, SHARD, nameAt('000002')))
    await writeFile(join(root, SHARD, nameAt('000002'), '.tmp-0123456789abcdef-0'), 'half')
    expect((await listBackups(store, SHARD)).entries).toMatchObject([{ state: 'complete' }, { state: 'incomplete' }])
  })

  test('notes what is no backup, and goes on', async () => {
    const store = await newStore()
    await storeBackup(store, SHARD, nameAt('000001'))
    await store.put(`${SHARD}/old backups/x`, Buffer.from('x'))
    await store.put(`${SHARD}/2026-02-30.000000.zone1-0000000101/x`, Buffer.from('x'))
    await store.put(`${SHARD}/README`, Buffer.from('x'))
    const { entries, ignored } = await listBackups(store, SHARD)
    expect(entries).toHaveLength(1)
    expect(ignored).toEqual(['2026-02-30.000000.zone1-0000000101', 'old backups'])
  })

  test('is empty for a shard without a directory in a ready repository, and an error in one that is new', async () => {
    const store = await newStore()
    await expect(listBackups(store, SHARD)).rejects.toThrow(ofType('StorageUnavailable'))
    await storeBackup(store, parseShardName('commerce/-80'), nameAt('000001'))
    expect(await listBackups(store, SHARD)).toEqual({ entries: [], ignored: [] })
  })

  test('does not mix up shards of which one is the beginning of another', async () => {
    const store = await newStore()
    await storeBackup(store, parseShardName('commerce/-8'), nameAt('000001'))
    await storeBackup(store, parseShardName('commerce/-80'), nameAt('000002'))
    expect((await listBackups(store, parseShardName('commerce/-8'))).entries.map(({ name }) => name)).toEqual([
      nameAt('000001'),
    ])
  })
})

describe('one backup', () => {
  test('is read by name in whatever state it is', async () => {
    const store = await newStore()
    await storeBackup(store, SHARD, nameAt('000001'))
    await storeUnfinished(store, SHARD, nameAt('000002'))
    expect(await readBackup(store, SHARD, nameAt('000001'))).toMatchObject({
      name: nameAt('000001'),
      state: 'complete',
    })
    expect(await readBackup(store, SHARD, nameAt('000002'))).toMatchObject({
      name: nameAt('000002'),
      state: 'incomplete',
    })
    await expect(readBackup(store, SHARD, nameAt('000003'))).rejects.toThrow(ofType('NotFound'))
  })

  test('that is the latest is the latest complete one', async () => {
    const store = await newStore()
    await storeBackup(store, SHARD, nameAt('000001'))
    await storeBackup(store, SHARD, nameAt('000002'))
    await storeUnfinished(store, SHARD, nameAt('000003'))
    expect(await readBackup(store, SHARD, 'latest')).toMatchObject({ name: nameAt('000002'), state: 'complete' })
  })

  test('that is the latest is not found where there is none, and corrupt where none is complete', async () => {
    const store = await newStore()
    await storeUnfinished(store, parseShardName('commerce/-80'), nameAt('000003'))
    await expect(readBackup(store, SHARD, 'latest')).rejects.toThrow(ofType('NotFound'))
    await expect(readBackup(store, parseShardName('commerce/-80'), 'latest')).rejects.toThrow(
      /none of the backups of commerce\/-80 is complete: 2026-11-24.000003.zone1-0000000101 \(incomplete\)/,
    )
  })
})

describe('a MANIFEST that cannot be read', () => {
  const [OLD, BROKEN, NEW] = [nameAt('000001'), nameAt('000002'), nameAt('000003')]
  const wanted = { serverVersion: undefined }

  /** A shard of these backups, where reading the MANIFEST of one fails so often. */
  async function shardWith(names: readonly string[], failure: Error, times = Number.POSITIVE_INFINITY) {
    const root = await temporaryDirectory()
    let left = times
    const store = new (class extends FileStore {
      override async get(key: string) {
        if (key.includes(BROKEN) && left-- > 0) throw failure
        return await super.get(key)
      }

      // Linux answers EIO to whoever reads there.
      override localPath(key: string) {
        return key.includes(BROKEN) && left > 0 ? '/proc/self/mem' : super.localPath(key)
      }
    })(root)
    for (const name of [OLD, BROKEN, NEW]) if (names.includes(name)) await storeBackup(store, SHARD, name)
    return store
  }

  const lost = storageError(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }), {
    store: 'file:/backups',
    doing: 'read MANIFEST',
  })
  const archived = new TabletkeeperError('StorageDenied', 'InvalidObjectState: the object is archived')

  test('by the disk is corrupt: the list shows it, restores pass it over, and it can be removed', async () => {
    const store = await shardWith([OLD, BROKEN], lost)
    const reason = `${SHARD}/${BROKEN}/MANIFEST cannot be read: EIO`
    const { entries } = await listBackups(store, SHARD)
    expect(entries).toMatchObject([{ state: 'complete' }, { name: BROKEN, state: 'corrupt', reason }])
    expect(await readBackup(store, SHARD, 'latest')).toMatchObject({ name: OLD, state: 'complete' })
    expect(await findBackup(store, SHARD, wanted)).toMatchObject({
      found: { name: OLD },
      passedOver: [{ name: BROKEN, reason }],
    })
    await removeBackup(store, SHARD, BROKEN)
    expect((await listBackups(store, SHARD)).entries).toMatchObject([{ name: OLD }])
  })

  test('by the disk for a moment is not corrupt', async () => {
    await expect(readBackup(await shardWith([OLD, BROKEN], lost, 1), SHARD, 'latest')).rejects.toBe(lost)
    expect((await listBackups(await shardWith([OLD, BROKEN], lost, 1), SHARD)).entries).toMatchObject([
      { state: 'complete' },
      { name: BROKEN, state: 'complete' },
    ])
  })

  test('since it is archived is shown as corrupt beside others, and can be removed; no restore passes it over', async () => {
    const store = await shardWith([OLD, BROKEN, NEW], archived)
    const { entries } = await listBackups(store, SHARD)
    expect(entries).toMatchObject([
      { state: 'complete' },
      { name: BROKEN, state: 'corrupt', reason: archived.message },
      { state: 'complete' },
    ])
    await removeBackup(store, SHARD, NEW)
    await expect(readBackup(store, SHARD, 'latest')).rejects.toBe(archived)
    await expect(findBackup(store, SHARD, wanted)).rejects.toBe(archived)
    await removeBackup(store, SHARD, BROKEN)
    expect((await listBackups(store, SHARD)).entries).toMatchObject([{ name: OLD }])
  })

  test('as no other can, or since the store is gone, is no corrupt backup', async () => {
    await expect(listBackups(await shardWith([BROKEN], archived), SHARD)).rejects.toBe(archived)
    const gone = await shardWith([OLD, BROKEN], archived)
    const list = gone.list.bind(gone)
    gone.list = async (prefix, options) => {
      const found = await list(prefix, options)
      gone.repository = () => Promise.reject(new TabletkeeperError('StorageUnavailable', 'the mount is gone'))
      return found
    }
    await expect(listBackups(gone, SHARD)).rejects.toBe(archived)
  })
})
