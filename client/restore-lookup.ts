import type { BackupName } from '../model/backup-name.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { GtidSet } from '../model/gtid-set.ts'
import type { RestoreInput } from '../model/runs.ts'
import type { ShardName } from '../model/shard-name.ts'
import type { CompleteBackup } from '../storage/catalogue/catalogue.ts'
import { findBackup } from '../storage/catalogue/find-backup.ts'
import type { ObjectStore } from '../storage/object-store.ts'

export interface WantedBackup {
  readonly backup: BackupName | undefined
  readonly before: Date | undefined
}

/** What is known of where it is restored to. */
export interface RestoreTarget {
  /** Of its mysqld, as MANIFESTs hold it; null where nobody can tell. */
  readonly serverVersion: string | null
  /** What the shard's primary has executed. */
  readonly executed?: GtidSet | undefined
}

/** The backup that a restore would use, or why it cannot be told from here. */
export type Lookup = CompleteBackup | { readonly untold: string }

/**
 * Looks up what a restore would use. The version of the target and the primary decide too, where they are known.
 * @throws NotFound, CorruptBackup, Refused, IncompatibleVersion when there is no such backup
 */
export async function lookUp(
  store: ObjectStore,
  shard: ShardName,
  wanted: WantedBackup,
  { serverVersion, executed }: RestoreTarget,
): Promise<CompleteBackup> {
  const found = await findBackup(store, shard, { ...wanted, serverVersion: serverVersion ?? undefined, executed })
  if ('none' in found) throw noBackup(shard)
  return found.found
}

/**
 * What the run is asked for. What its plan has shown is what is restored, whatever was added to storage meanwhile; but where nobody here can
 * tell which version the tablet's mysqld has, its agent chooses: it would refuse a backup that was chosen without.
 */
export function inputFor(
  { backup, before }: WantedBackup,
  lookup: Lookup,
  { serverVersion }: RestoreTarget,
): Pick<RestoreInput, 'backup' | 'before'> {
  if (backup !== undefined) return { backup }
  if (serverVersion !== null && !('untold' in lookup)) return { backup: lookup.name }
  return before === undefined ? {} : { before: before.toISOString() }
}

/**
 * As `lookUp`; storage that cannot be used from here is no error, since it is the tablet's agent that reads it.
 * @throws as `lookUp`
 */
export async function lookUpIfReachable(
  store: ObjectStore,
  shard: ShardName,
  wanted: WantedBackup,
  target: RestoreTarget,
): Promise<Lookup> {
  try {
    return await lookUp(store, shard, wanted, target)
  } catch (error) {
    if (!isError(error)) throw error
    if (['InvalidConfig', 'StorageUnavailable', 'StorageDenied'].includes(error.type)) return { untold: error.message }
    const hint = `Nothing was changed. ${error.hint ?? ''}`.trimEnd()
    throw new TabletkeeperError(error.type, error.message, { hint, cause: error })
  }
}

function noBackup(shard: ShardName): TabletkeeperError {
  return new TabletkeeperError('NotFound', `there is no backup of ${shard}`, {
    hint: `Take one: tabletkeeper backup ${shard}. To start a new tablet empty: tabletkeeper bootstrap <alias>`,
  })
}
