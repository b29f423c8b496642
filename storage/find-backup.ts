import type { BackupName } from '../model/backup-name.ts'
import { parseBackupName } from '../model/backup-name.ts'
import { assertCompatible } from '../model/compatibility.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { ShardName } from '../model/shard-name.ts'
import { type BackupEntry, backupNotFound, type CompleteBackup, namesOf, noneComplete, readEntry } from './catalogue.ts'
import type { ObjectStore } from './object-store.ts'

/** At most one of `backup` and `before`; neither means the latest. */
export interface BackupWanted {
  readonly backup?: BackupName | undefined
  /** The latest that began before this time. */
  readonly before?: Date | undefined
  /** Of the mysqld that is to run on the data, as MANIFESTs hold it: `Ver 9.7.4 MySQL Community Server`. */
  readonly serverVersion: string
}

export type BackupFound =
  | {
      readonly found: CompleteBackup
      /** Newer ones that were asked for too, and cannot be restored from. */
      readonly passedOver: readonly { readonly name: BackupName; readonly reason: string }[]
    }
  /** The shard has no backup at all, complete or not, in a store that is there. */
  | { readonly none: true }

/**
 * The backup to restore.
 * @throws NotFound when the shard has backups, but none of that name or that old; CorruptBackup when none of those asked for is complete;
 * IncompatibleVersion when no complete one can be restored to this server
 */
export async function findBackup(store: ObjectStore, shard: ShardName, wanted: BackupWanted): Promise<BackupFound> {
  if (wanted.backup !== undefined) return await findNamed(store, shard, wanted.backup, wanted.serverVersion)
  const { names } = await namesOf(store, shard)
  const [oldest] = names
  if (oldest === undefined) return { none: true }
  const asked = names.filter((name) => isBefore(name, wanted.before)).toReversed()
  if (asked.length === 0) {
    throw new TabletkeeperError('NotFound', `no backup of ${shard} was taken before ${wanted.before?.toISOString()}`, {
      hint: `The oldest is ${oldest}.`,
    })
  }
  return await newestUsable(store, shard, asked, wanted.serverVersion)
}

async function findNamed(
  store: ObjectStore,
  shard: ShardName,
  name: BackupName,
  serverVersion: string,
): Promise<BackupFound> {
  const { names } = await namesOf(store, shard)
  if (!names.includes(name)) throw backupNotFound(shard, name)
  const entry = await readEntry(store, shard, name)
  if (entry.state === 'complete') {
    assertCompatible(entry.manifest.MySQLVersion, entry.manifest.UpgradeSafe, serverVersion)
    return { found: entry, passedOver: [] }
  }
  throw new TabletkeeperError(
    'CorruptBackup',
    `the backup ${name} of ${shard} cannot be restored from: ${whyNot(entry)}`,
    {
      hint: `See: tabletkeeper list ${shard}`,
    },
  )
}

async function newestUsable(
  store: ObjectStore,
  shard: ShardName,
  newestFirst: readonly BackupName[],
  serverVersion: string,
): Promise<BackupFound> {
  const unusable: BackupEntry[] = []
  const passedOver: { name: BackupName; reason: string }[] = []
  let incompatible: TabletkeeperError | undefined
  for (const name of newestFirst) {
    const entry = await readEntry(store, shard, name)
    if (entry.state !== 'complete') {
      unusable.push(entry)
      passedOver.push({ name, reason: whyNot(entry) })
      continue
    }
    try {
      assertCompatible(entry.manifest.MySQLVersion, entry.manifest.UpgradeSafe, serverVersion)
      return { found: entry, passedOver }
    } catch (error) {
      if (!isError(error, 'IncompatibleVersion')) throw error
      incompatible ??= error
      passedOver.push({ name, reason: error.message })
    }
  }
  throw incompatible ?? noneComplete(shard, unusable)
}

function isBefore(name: BackupName, before: Date | undefined): boolean {
  return before === undefined || parseBackupName(name).time < before
}

function whyNot(entry: Exclude<BackupEntry, CompleteBackup>): string {
  return entry.state === 'corrupt' ? entry.reason : 'it has no MANIFEST, so it is not complete'
}
