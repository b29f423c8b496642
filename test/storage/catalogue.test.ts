import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatManifest } from '../../model/manifest.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { listBackups, readBackup } from '../../storage/catalogue.ts'
import { FileStore } from '../../storage/file.ts'
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
      { state: 'complete', manifest: { BackupName: nameAt('000001') } },
      { state: 'incomplete' },
      { state: 'corrupt', reason: expect.stringContaining('000003.zone1-0000000101/MANIFEST') },
      { state: 'corrupt', reason: expect.stringContaining(nameAt('000001')) },
    ])
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
