import { describe, expect, test } from 'vitest'
import type { BackupName } from '../../model/backup-name.ts'
import { GtidSet } from '../../model/gtid-set.ts'
import { formatManifest, type TabletkeeperSection } from '../../model/manifest.ts'
import { positionOf } from '../../model/position.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { type BackupWanted, findBackup } from '../../storage/catalogue/find-backup.ts'
import { removeBackup } from '../../storage/catalogue/remove-backup.ts'
import { FileStore } from '../../storage/file/file.ts'
import { manifestOf, nameAt, SHARD, storeBackup, storeUnfinished } from './sample-backup.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const SERVER = 'Ver 9.7.4 MySQL Community Server'
const OLDER_SERVER = 'Ver 8.4.7 MySQL Community Server'

async function storeWith(complete: readonly BackupName[], unfinished: readonly BackupName[] = []): Promise<FileStore> {
  const store = new FileStore(await temporaryDirectory())
  await storeBackup(store, parseShardName('other/0'), nameAt('000000'))
  for (const name of complete) await storeBackup(store, SHARD, name)
  for (const name of unfinished) await storeUnfinished(store, SHARD, name)
  return store
}

const find = (store: FileStore, wanted: Partial<BackupWanted> = {}) =>
  findBackup(store, SHARD, { serverVersion: SERVER, ...wanted })

describe('the backup to restore', () => {
  test('is the latest', async () => {
    const store = await storeWith([nameAt('000001'), nameAt('000002')])
    expect(await find(store)).toMatchObject({ found: { name: nameAt('000002'), state: 'complete' }, passedOver: [] })
  })

  test('is the latest complete one, and what was passed over is told', async () => {
    const store = await storeWith([nameAt('000001')], [nameAt('000002')])
    await storeBackup(store, SHARD, nameAt('000003'), 'no JSON')
    expect(await find(store)).toMatchObject({
      found: { name: nameAt('000001') },
      passedOver: [
        { name: nameAt('000003'), reason: expect.stringContaining('JSON') },
        { name: nameAt('000002'), reason: expect.stringContaining('no MANIFEST') },
      ],
    })
  })

  test('is the latest that this server can run on', async () => {
    const store = await storeWith([nameAt('000002')])
    const old = manifestOf(SHARD, nameAt('000001'), { MySQLVersion: OLDER_SERVER })
    await storeBackup(store, SHARD, nameAt('000001'), formatManifest(old))
    expect(await find(store, { serverVersion: OLDER_SERVER })).toMatchObject({
      found: { name: nameAt('000001') },
      passedOver: [{ name: nameAt('000002') }],
    })
    await store.delete([`${SHARD}/${nameAt('000001')}/0`, `${SHARD}/${nameAt('000001')}/MANIFEST`])
    await expect(find(store, { serverVersion: OLDER_SERVER })).rejects.toThrow(ofType('IncompatibleVersion'))
  })

  test('is none that holds what the primary never had, as it was marked or as is seen now', async () => {
    const store = await storeWith([nameAt('000001')])
    const set = (last: number) => `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${last}`
    const Errant = positionOf(GtidSet.parse(set(1)))
    const Tabletkeeper: TabletkeeperSection = {
      ...{ FormatVersion: 1, Engine: 'frames', FrameSize: 8_388_608, Snapshot: 'none', Version: '0.1.0' },
      ...{ Workflow: 'backup/x', Run: 'r', Seconds: 1, OutOfServiceSeconds: 1, Errant },
      Files: [{ Size: 3, Stored: 60, Hash: 'a'.repeat(64) }],
      PageCheck: { BadPages: 0, Pages: [] },
    }
    const marked = manifestOf(SHARD, nameAt('000002'), { Tabletkeeper })
    await storeBackup(store, SHARD, nameAt('000002'), formatManifest(marked))
    const ahead = manifestOf(SHARD, nameAt('000003'), { Position: positionOf(GtidSet.parse(set(9))) })
    await storeBackup(store, SHARD, nameAt('000003'), formatManifest(ahead))
    const executed = GtidSet.parse(manifestOf(SHARD, nameAt('000001')).Position.slice('MySQL56/'.length))
    expect(await find(store, { executed })).toMatchObject({
      found: { name: nameAt('000001') },
      passedOver: [
        { name: nameAt('000003'), reason: expect.stringContaining('holds transactions that the primary never had') },
        { name: nameAt('000002'), reason: expect.stringContaining(Errant) },
      ],
    })
    expect(await find(store, { executed: executed.union(GtidSet.parse(set(9))) })).toMatchObject({
      found: { name: nameAt('000003') },
    })
    // Who names it has looked at it.
    expect(await find(store, { backup: nameAt('000002') })).toMatchObject({ found: { name: nameAt('000002') } })
    await removeBackup(store, SHARD, nameAt('000001'))
    await expect(find(store, { executed })).rejects.toThrow(ofType('Refused'))
  })

  test('is the latest that began before a time, not at it', async () => {
    const store = await storeWith([nameAt('000001'), nameAt('000002'), nameAt('000003')])
    const takenBefore = (time: string) => find(store, { before: new Date(`2026-11-24T${time}Z`) })
    expect(await takenBefore('00:00:03')).toMatchObject({ found: { name: nameAt('000002') } })
    expect(await takenBefore('00:00:02.001')).toMatchObject({ found: { name: nameAt('000002') } })
    await expect(takenBefore('00:00:01')).rejects.toThrow(
      /no backup of commerce\/0 was taken before 2026-11-24T00:00:01.000Z/,
    )
    await expect(takenBefore('00:00:01')).rejects.toThrow(ofType('NotFound'))
  })

  test('is the named one, or an error that says what is wrong with it', async () => {
    const store = await storeWith([nameAt('000001'), nameAt('000003')], [nameAt('000002')])
    expect(await find(store, { backup: nameAt('000001') })).toMatchObject({ found: { name: nameAt('000001') } })
    await expect(find(store, { backup: nameAt('000002') })).rejects.toThrow(ofType('CorruptBackup'))
    await expect(find(store, { backup: nameAt('000009') })).rejects.toThrow(ofType('NotFound'))
    await expect(find(store, { backup: nameAt('000001'), serverVersion: OLDER_SERVER })).rejects.toThrow(
      ofType('IncompatibleVersion'),
    )
  })

  test('is none only where a ready repository has none, complete or not', async () => {
    expect(await find(await storeWith([]))).toEqual({ none: true })
    await expect(find(await storeWith([], [nameAt('000001'), nameAt('000002')]))).rejects.toThrow(
      /none of the backups of commerce\/0 is complete: .*000002.*, .*000001/,
    )
    await expect(find(new FileStore(await temporaryDirectory()))).rejects.toThrow(ofType('StorageUnavailable'))
  })
})
