import type { Readable } from 'node:stream'
import type { TabletAlias } from '../../model/alias.ts'
import { type BackupName, parseBackupName } from '../../model/backup-name.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { type Manifest, parseManifest } from '../../model/manifest.ts'
import { type ManifestSummary, summaryOf } from '../../model/manifest-summary.ts'
import type { ShardName } from '../../model/shard-name.ts'
import { forAll } from '../for-all.ts'
import { answers, damageOf } from '../object-damage.ts'
import type { ObjectKey, ObjectStore } from '../object-store.ts'
import { backupDirectory, backupKey, MANIFEST } from './backup-key.ts'

interface BackupIdentity {
  readonly name: BackupName
  /** When it began, from its name. */
  readonly time: Date
  readonly tablet: TabletAlias
}

export type CompleteBackup = BackupIdentity & { readonly state: 'complete'; readonly manifest: Manifest }

/** A backup as storage has it. Only a complete one can be restored from. */
export type BackupEntry =
  | CompleteBackup
  /** Without MANIFEST: it is being made, or its run died. */
  | (BackupIdentity & { readonly state: 'incomplete' })
  | (BackupIdentity & { readonly state: 'corrupt'; readonly reason: string })

/** A backup as lists show it. */
export type ListedBackup =
  | (BackupIdentity & { readonly state: 'complete'; readonly manifest: ManifestSummary })
  | Exclude<BackupEntry, CompleteBackup>

export function listed(entry: BackupEntry): ListedBackup {
  return entry.state === 'complete' ? { ...entry, manifest: summaryOf(entry.manifest) } : entry
}

/** Whether a tablet may be filled from a backup: it is complete, and holds nothing that its shard never had. */
export function isRestorable<Entry extends BackupEntry | ListedBackup>(
  entry: Entry,
): entry is Extract<Entry, { readonly state: 'complete' }> {
  return entry.state === 'complete' && entry.manifest.Tabletkeeper?.Errant === undefined
}

export interface Catalogue {
  /** Oldest first. */
  readonly entries: readonly ListedBackup[]
  /** Directories of the shard whose name is not that of a backup. */
  readonly ignored: readonly string[]
}

/** MANIFESTs can be large, and all of a shard are asked for. */
const READ_AT_ONCE = 4

/** Bytes: a MANIFEST of 800,000 files is smaller. What is larger is none, and would fill the memory. */
export const LARGEST_MANIFEST = 256 * 1024 * 1024

/**
 * The backups of a shard. Empty only when the store is there and has none. No more than `READ_AT_ONCE` MANIFESTs are in memory. One that
 * the store does not give (it is archived, or under a key of earlier) while it gives others is shown as corrupt, so that the others are
 * seen and it can be removed.
 * @throws the errors of the store
 */
export async function listBackups(store: ObjectStore, shard: ShardName): Promise<Catalogue> {
  const { names, ignored } = await namesOf(store, shard)
  const failures: TabletkeeperError[] = []
  const entries = await forAll(names, READ_AT_ONCE, async (name): Promise<ListedBackup> => {
    try {
      return listed(await readEntry(store, shard, name).catch((error: unknown) => again(error, store, shard, name)))
    } catch (error) {
      if (!isError(error, 'StorageDenied', 'StorageUnavailable') || !(await answers(store))) throw error
      failures.push(error)
      return { ...identityOf(name), state: 'corrupt', reason: error.message }
    }
  })
  const [failure] = failures
  if (failure !== undefined && !entries.some(({ state }) => state === 'complete')) throw failure
  return { entries, ignored }
}

/** What failed for a moment is not to be called corrupt. */
async function again(error: unknown, store: ObjectStore, shard: ShardName, name: BackupName): Promise<BackupEntry> {
  if (!isError(error) || !error.retryable) throw error
  return await readEntry(store, shard, name)
}

/**
 * The newest backup that a restore would choose, undefined when there is none. Older ones are not read: their MANIFESTs may be large.
 * @throws the errors of the store
 */
export async function newestRestorable(store: ObjectStore, shard: ShardName): Promise<CompleteBackup | undefined> {
  const { names } = await namesOf(store, shard)
  for await (const entry of newestFirst(store, shard, names)) if (isRestorable(entry)) return entry
  return undefined
}

/**
 * One backup, in whatever state it is; or the latest that is complete.
 * @throws NotFound when there is none; CorruptBackup when the latest was asked for and none of those there is complete
 */
export async function readBackup(
  store: ObjectStore,
  shard: ShardName,
  which: BackupName | 'latest',
): Promise<BackupEntry> {
  const { names } = await namesOf(store, shard)
  if (which !== 'latest') {
    if (names.includes(which)) return await readEntry(store, shard, which)
    throw backupNotFound(shard, which)
  }
  if (names.length === 0) throw new TabletkeeperError('NotFound', `there is no backup of ${shard}`)
  const passedOver: BackupEntry[] = []
  for await (const entry of newestFirst(store, shard, names)) {
    if (entry.state === 'complete') return entry
    passedOver.push(entry)
  }
  throw noneComplete(shard, passedOver)
}

/** Backups of these names, which are oldest first, from the other end: each is read when the caller wants one more. */
export async function* newestFirst(
  store: ObjectStore,
  shard: ShardName,
  names: readonly BackupName[],
): AsyncGenerator<BackupEntry> {
  for (const name of names.toReversed()) yield await readEntry(store, shard, name)
}

/** Names of a shard's backups, oldest first, and of the directories that are none. */
export async function namesOf(
  store: ObjectStore,
  shard: ShardName,
): Promise<{ readonly names: readonly BackupName[]; readonly ignored: readonly string[] }> {
  const { prefixes } = await store.list(`${shard}/`, { delimiter: '/' })
  const names: BackupName[] = []
  const ignored: string[] = []
  for (const prefix of prefixes) {
    const directory = prefix.slice(shard.length + 1, -1)
    try {
      names.push(parseBackupName(directory).name)
    } catch (error) {
      if (!isError(error, 'InvalidInput')) throw error
      ignored.push(directory)
    }
  }
  return { names: names.sort(), ignored }
}

/**
 * What storage has under a backup's name; without MANIFEST it is incomplete, be there anything at all or not. One whose MANIFEST the disk
 * has lost is corrupt.
 * @throws the errors of the store: what cannot be read now may be readable a minute later
 */
export async function readEntry(store: ObjectStore, shard: ShardName, name: BackupName): Promise<BackupEntry> {
  const identity = identityOf(name)
  const key = backupKey(shard, name, MANIFEST)
  try {
    const text = await readText(store, key)
    return { ...identity, state: 'complete', manifest: parseManifest(text, { shard, backup: name }) }
  } catch (error) {
    if (isError(error, 'NotFound')) return { ...identity, state: 'incomplete' }
    const reason = await damageOf(store, key, error)
    if (reason === undefined) throw error
    return { ...identity, state: 'corrupt', reason }
  }
}

function identityOf(name: BackupName): BackupIdentity {
  const { time, alias } = parseBackupName(name)
  return { name, time, tablet: alias }
}

export function backupNotFound(shard: ShardName, name: BackupName): TabletkeeperError {
  return new TabletkeeperError('NotFound', `there is no backup ${name} of ${shard}`, {
    hint: `See: tabletkeeper list ${shard}`,
  })
}

/** Backups are there, newest first, and none can be restored from: never to be taken for "no backup". */
export function noneComplete(
  shard: ShardName,
  entries: readonly Pick<BackupEntry, 'name' | 'state'>[],
): TabletkeeperError {
  const named = entries.slice(0, 5).map((entry) => `${entry.name} (${entry.state})`)
  const more = entries.length > named.length ? `, and ${entries.length - named.length} older ones` : ''
  return new TabletkeeperError(
    'CorruptBackup',
    `none of the backups of ${shard} is complete: ${named.join(', ')}${more}`,
    {
      hint: `See: tabletkeeper list ${shard}. Make a backup of a tablet that has its data, or remove these if the shard is to start empty.`,
    },
  )
}

/** What starts with a backup's directory is that backup's alone, as the directory ends in a slash. */
export async function objectsOf(store: ObjectStore, shard: ShardName, name: BackupName): Promise<readonly ObjectKey[]> {
  const { objects } = await store.list(backupDirectory(shard, name))
  return objects.map(({ key }) => key)
}

async function readText(store: ObjectStore, key: ObjectKey): Promise<string> {
  const body: Readable = await store.get(key)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > LARGEST_MANIFEST) throw new TabletkeeperError('CorruptBackup', `${key} is too large for a MANIFEST`)
  }
  return Buffer.concat(chunks).toString('utf8')
}
