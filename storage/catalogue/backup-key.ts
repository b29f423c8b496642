import type { BackupName } from '../../model/backup-name.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ObjectKey } from '../object-store.ts'

/** The object that completes a backup. */
export const MANIFEST = 'MANIFEST'

/** What the keys of all objects of a backup start with, and those of no other backup: it ends in `/`. */
export function backupDirectory(shard: ShardName, name: BackupName): string {
  return `${shard}/${name}/`
}

/** The key of an object of a backup: the index of a file, or `MANIFEST`. */
export function backupKey(shard: ShardName, name: BackupName, object: number | typeof MANIFEST): ObjectKey {
  return `${backupDirectory(shard, name)}${object}`
}
