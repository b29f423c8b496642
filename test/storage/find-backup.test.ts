import { describe, expect, test } from 'vitest'
import type { BackupName } from '../../model/backup-name.ts'
import { formatManifest } from '../../model/manifest.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { FileStore } from '../../storage/file.ts'
import { type BackupWanted, findBackup } from '../../storage/find-backup.ts'
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
