import { describe, expect, test } from 'vitest'
import { formatManifest } from '../../model/manifest.ts'
import { parseShardName, type ShardName } from '../../model/shard-name.ts'
import { findBackup } from '../../storage/catalogue/find-backup.ts'
import { FileStore } from '../../storage/file/file.ts'
import { manifestOf, nameAt, SHARD, storeBackup } from '../storage/sample-backup.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

const SERVER = { serverVersion: 'Ver 9.7.4 MySQL Community Server' }

/** A store in which a backup of `commerce/0` lies below another shard, as somebody may have copied it. */
async function misplaced(place: ShardName): Promise<FileStore> {
  const store = new FileStore(await temporaryDirectory())
  await storeBackup(store, place, nameAt('000001'), formatManifest(manifestOf(SHARD, nameAt('000001'))))
  return store
}

describe('a backup that lies below another keyspace or shard than its own', () => {
  test.each([
    ['customer/0', 'its Keyspace is "commerce", but it lies where "customer" is meant'],
    ['commerce/-80', 'its Shard is "0", but it lies where "-80" is meant'],
  ])('is restored to no tablet of %s', async (name, reason) => {
    const place = parseShardName(name)
    const store = await misplaced(place)
    await expect(findBackup(store, place, SERVER)).rejects.toThrow(ofType('CorruptBackup'))
    await expect(findBackup(store, place, { ...SERVER, backup: nameAt('000001') })).rejects.toThrow(reason)
  })

  test('is restored to one of its own, where it lies there', async () => {
    const store = await misplaced(SHARD)
    expect(await findBackup(store, SHARD, SERVER)).toMatchObject({ found: { name: nameAt('000001') } })
  })
})
