import type { BackupName } from '../model/backup-name.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { ShardName } from '../model/shard-name.ts'
import { type CompleteBackup, listBackups, readBackup } from '../storage/catalogue.ts'
import { findBackup } from '../storage/find-backup.ts'
import type { ObjectStore } from '../storage/object-store.ts'

export interface WantedBackup {
  readonly backup: BackupName | undefined
  readonly before: Date | undefined
}

/** The backup that a restore would use, or why it cannot be told from here. */
export type Lookup = CompleteBackup | { readonly untold: string }

/**
 * Looks up what a restore would use. The version of the target decides too, where it is known.
 * @throws NotFound, CorruptBackup, IncompatibleVersion when there is no such backup
 */
export async function lookUp(
  store: ObjectStore,
  shard: ShardName,
  wanted: WantedBackup,
  version: string | null,
): Promise<CompleteBackup> {
  if (version === null) return await lookUpAnyVersion(store, shard, wanted)
  const found = await findBackup(store, shard, { ...wanted, serverVersion: version })
  if ('none' in found) throw noBackup(shard)
  return found.found
}

/**
 * As `lookUp`; storage that cannot be used from here is no error, since it is the tablet's agent that reads it.
 * @throws as `lookUp`
 */
export async function lookUpIfReachable(
  store: ObjectStore,
  shard: ShardName,
  wanted: WantedBackup,
  version: string | null,
): Promise<Lookup> {
  try {
    return await lookUp(store, shard, wanted, version)
  } catch (error) {
    if (!isError(error)) throw error
    if (['InvalidConfig', 'StorageUnavailable', 'StorageDenied'].includes(error.type)) return { untold: error.message }
    const hint = `Nothing was changed. ${error.hint ?? ''}`.trimEnd()
    throw new TabletkeeperError(error.type, error.message, { hint, cause: error })
  }
}

async function lookUpAnyVersion(
  store: ObjectStore,
  shard: ShardName,
  { backup, before }: WantedBackup,
): Promise<CompleteBackup> {
  if (before === undefined) {
    const entry = await readBackup(store, shard, backup ?? 'latest')
    if (entry.state === 'complete') return entry
    const why = entry.state === 'corrupt' ? entry.reason : 'it has no MANIFEST, so it is not complete'
    throw new TabletkeeperError(
      'CorruptBackup',
      `the backup ${entry.name} of ${shard} cannot be restored from: ${why}`,
      { hint: `See: tabletkeeper list ${shard}` },
    )
  }
  const { entries } = await listBackups(store, shard)
  const latest = entries.filter((entry) => entry.state === 'complete').findLast((entry) => entry.time < before)
  if (latest !== undefined) return latest
  throw new TabletkeeperError('NotFound', `no complete backup of ${shard} was taken before ${before.toISOString()}`, {
    hint: `See: tabletkeeper list ${shard}`,
  })
}

function noBackup(shard: ShardName): TabletkeeperError {
  return new TabletkeeperError('NotFound', `there is no backup of ${shard}`, {
    hint: `Take one: tabletkeeper backup ${shard}. To start a new tablet empty: tabletkeeper bootstrap <alias>`,
  })
}
