import type { BackupName } from '../../model/backup-name.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ObjectStore } from '../object-store.ts'
import { backupDirectory } from './backup-key.ts'
import { type BackupEntry, backupNotFound, namesOf, newestFirst, noneComplete, readEntry } from './catalogue.ts'

/** A backup that says of itself that it is whole. */
export interface PublishedBackup {
  readonly name: BackupName
  readonly manifest: Manifest
  /** What the keys of its objects start with. */
  readonly directory: string
}

/**
 * The backup of that name, or the latest that was published. Newer ones without MANIFEST are passed over: they are being made. One whose
 * MANIFEST is damaged is not.
 * @throws NotFound when there is none; CorruptBackup when its MANIFEST is damaged, or it has none
 */
export async function findPublished(
  store: ObjectStore,
  shard: ShardName,
  which: BackupName | 'latest',
): Promise<PublishedBackup> {
  const { names } = await namesOf(store, shard)
  if (which !== 'latest') {
    if (!names.includes(which)) throw backupNotFound(shard, which)
    return published(shard, await readEntry(store, shard, which))
  }
  if (names.length === 0) {
    throw new TabletkeeperError('NotFound', `there is no backup of ${shard}`, {
      hint: `Take one: tabletkeeper backup ${shard}`,
    })
  }
  const unfinished: BackupEntry[] = []
  for await (const entry of newestFirst(store, shard, names)) {
    if (entry.state !== 'incomplete') return published(shard, entry)
    unfinished.push(entry)
  }
  throw noneComplete(shard, unfinished)
}

function published(shard: ShardName, entry: BackupEntry): PublishedBackup {
  if (entry.state === 'complete') {
    return { name: entry.name, manifest: entry.manifest, directory: backupDirectory(shard, entry.name) }
  }
  const why = entry.state === 'corrupt' ? entry.reason : 'it has no MANIFEST: it is being made, or its run ended early'
  throw new TabletkeeperError('CorruptBackup', `${entry.name} of ${shard} is ${entry.state}: ${why}`, {
    hint: `Nothing is restored from it. See: tabletkeeper list ${shard}`,
  })
}
