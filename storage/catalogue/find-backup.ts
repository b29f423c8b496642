import { type BackupName, parseBackupName } from '../../model/backup-name.ts'
import { assertCompatible } from '../../model/compatibility.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { GtidSet } from '../../model/gtid-set.ts'
import { parsePosition, positionOf } from '../../model/position.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ObjectStore } from '../object-store.ts'
import {
  type BackupEntry,
  backupNotFound,
  type CompleteBackup,
  namesOf,
  newestFirst,
  noneComplete,
  readEntry,
} from './catalogue.ts'

/** At most one of `backup` and `before`; neither means the latest. */
export interface BackupWanted {
  readonly backup?: BackupName | undefined
  /** The latest that began before this time. */
  readonly before?: Date | undefined
  /** Of the mysqld that is to run on the data, as MANIFESTs hold it, `Ver 9.7.4 MySQL Community Server`; undefined: nobody can tell. */
  readonly serverVersion: string | undefined
  /** What the shard's primary has executed, where it is known: a backup that holds more is not the one. */
  readonly executed?: GtidSet | undefined
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
 * Refused when those that are hold transactions that the shard never had; IncompatibleVersion when no complete one can be restored to this server
 */
export async function findBackup(store: ObjectStore, shard: ShardName, wanted: BackupWanted): Promise<BackupFound> {
  if (wanted.backup !== undefined) return await findNamed(store, shard, wanted.backup, wanted.serverVersion)
  const { names } = await namesOf(store, shard)
  const [oldest] = names
  if (oldest === undefined) return { none: true }
  const { before } = wanted
  const asked = before === undefined ? names : names.filter((name) => parseBackupName(name).time < before)
  if (asked.length === 0) {
    throw new TabletkeeperError('NotFound', `no backup of ${shard} was taken before ${before?.toISOString()}`, {
      hint: `The oldest is ${oldest}.`,
    })
  }
  return await newestUsable(store, shard, asked, wanted)
}

async function findNamed(
  store: ObjectStore,
  shard: ShardName,
  name: BackupName,
  serverVersion: string | undefined,
): Promise<BackupFound> {
  const { names } = await namesOf(store, shard)
  if (!names.includes(name)) throw backupNotFound(shard, name)
  const entry = await readEntry(store, shard, name)
  if (entry.state === 'complete') {
    assertFits(entry, serverVersion)
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
  names: readonly BackupName[],
  { serverVersion, executed }: BackupWanted,
): Promise<BackupFound> {
  const unusable: BackupEntry[] = []
  const passedOver: { name: BackupName; reason: string }[] = []
  let unfit: TabletkeeperError | undefined
  for await (const entry of newestFirst(store, shard, names)) {
    const { name } = entry
    if (entry.state !== 'complete') {
      unusable.push(entry)
      passedOver.push({ name, reason: whyNot(entry) })
      continue
    }
    try {
      assertOfShard(entry, executed)
      assertFits(entry, serverVersion)
      return { found: entry, passedOver }
    } catch (error) {
      if (!isError(error, 'IncompatibleVersion', 'Refused')) throw error
      unfit ??= error
      passedOver.push({ name, reason: error.message })
    }
  }
  throw unfit ?? noneComplete(shard, unusable)
}

function assertFits({ manifest }: CompleteBackup, serverVersion: string | undefined): void {
  if (serverVersion !== undefined) assertCompatible(manifest.MySQLVersion, manifest.UpgradeSafe, serverVersion)
}

/** @throws Refused when a backup holds transactions that the primary never had, as it was marked or as is seen now */
function assertOfShard({ name, manifest }: CompleteBackup, executed: GtidSet | undefined): void {
  const now = executed === undefined ? GtidSet.EMPTY : parsePosition(manifest.Position).subtract(executed)
  const errant = manifest.Tabletkeeper?.Errant ?? (now.isEmpty ? undefined : positionOf(now))
  if (errant !== undefined) throw errantBackup(name, errant)
}

function errantBackup(name: BackupName, errant: string): TabletkeeperError {
  return new TabletkeeperError('Refused', `${name} holds transactions that the primary never had: ${errant}`, {
    hint: 'A failover left them behind. Take a new backup, and restore that.',
  })
}

function whyNot(entry: Exclude<BackupEntry, CompleteBackup>): string {
  return entry.state === 'corrupt' ? entry.reason : 'it has no MANIFEST, so it is not complete'
}
