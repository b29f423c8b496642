import type { BackupName } from '../../model/backup-name.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ObjectStore } from '../object-store.ts'
import { backupDirectory, backupKey, MANIFEST } from './backup-key.ts'
import { backupNotFound, namesOf, objectsOf } from './catalogue.ts'

/**
 * Removes a backup: its own objects and nothing else. The MANIFEST goes first, so that a removal that is cut short leaves an
 * incomplete backup and never a complete one with objects missing.
 * @throws NotFound when nothing has that name
 */
export async function removeBackup(store: ObjectStore, shard: ShardName, name: BackupName): Promise<void> {
  const { names } = await namesOf(store, shard)
  if (!names.includes(name)) throw backupNotFound(shard, name)
  await store.delete([backupKey(shard, name, MANIFEST)])
  await removeRest(store, shard, name)
}

/**
 * Removes what a run that failed has stored. Nothing there is no error. A MANIFEST that an agent writes meanwhile, which had stood still, goes
 * too: the objects that it names are gone.
 * @throws Refused when the backup is complete
 */
export async function discardIncomplete(store: ObjectStore, shard: ShardName, name: BackupName): Promise<void> {
  // Nothing was ever stored: a first backup has failed before it wrote.
  if ((await store.repository()).state === 'new') return
  const [manifest, first] = [backupKey(shard, name, MANIFEST), backupKey(shard, name, 0)]
  if ((await store.head(manifest)) !== undefined && (await store.head(first)) !== undefined) {
    throw new TabletkeeperError(
      'Refused',
      `the backup ${name} of ${shard} has a MANIFEST: it is not discarded as incomplete`,
      {
        hint: `To remove it: tabletkeeper remove ${shard} ${name}`,
      },
    )
  }
  await removeRest(store, shard, name)
}

/** The first object goes first: by its lack is a removal known that was cut short. A MANIFEST that came meanwhile goes last. */
async function removeRest(store: ObjectStore, shard: ShardName, name: BackupName): Promise<void> {
  await store.delete([backupKey(shard, name, 0)])
  await store.abortUploads(backupDirectory(shard, name))
  await store.delete(await objectsOf(store, shard, name))
  const manifest = backupKey(shard, name, MANIFEST)
  if ((await store.head(manifest)) !== undefined) await store.delete([manifest])
}
