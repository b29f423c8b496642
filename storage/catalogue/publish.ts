import type { BackupName } from '../../model/backup-name.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ObjectStore } from '../object-store.ts'
import { backupKey, MANIFEST } from './backup-key.ts'

/**
 * Makes a backup of objects that are stored: their MANIFEST, last and only if there is none.
 * @param text of the MANIFEST
 * @throws Refused when it has one; the signal's reason when aborted; the errors of the store
 */
export async function putManifest(
  store: ObjectStore,
  shard: ShardName,
  name: BackupName,
  text: Buffer,
  signal?: AbortSignal,
): Promise<void> {
  await store.put(backupKey(shard, name, MANIFEST), text, {
    ifAbsent: true,
    ...(signal === undefined ? {} : { signal }),
  })
}

/**
 * Looks, after its MANIFEST was written, whether the objects of a backup are there still: a process that stood still before it wrote may
 * have had its run given up meanwhile, and the objects discarded. `discardIncomplete` looks for a MANIFEST last: one of the two sees the other.
 * @throws FenceBroken when they are gone; then the MANIFEST is removed too, where that is allowed
 */
export async function assertUndiscarded(store: ObjectStore, shard: ShardName, name: BackupName): Promise<void> {
  if ((await store.head(backupKey(shard, name, 0))) !== undefined) return
  const isRemoved = await removeManifest(store, shard, name)
  const message = `the objects of ${name} were discarded before its MANIFEST was written: its run had been given up`
  throw new TabletkeeperError('FenceBroken', isRemoved ? message : `${message}; the MANIFEST may not be removed here`, {
    hint: isRemoved ? 'Start another backup.' : `Nothing can be restored from it: tabletkeeper remove ${shard} ${name}`,
  })
}

async function removeManifest(store: ObjectStore, shard: ShardName, name: BackupName): Promise<boolean> {
  try {
    await store.delete([backupKey(shard, name, MANIFEST)])
    return true
  } catch (error) {
    if (!isError(error, 'StorageDenied')) throw error
    return false
  }
}
