import type { Readable } from 'node:stream'
import type { TabletAlias } from '../model/alias.ts'
import { type BackupName, parseBackupName } from '../model/backup-name.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { type Manifest, parseManifest } from '../model/manifest.ts'
import type { ShardName } from '../model/shard-name.ts'
import { backupDirectory, backupKey, MANIFEST } from './backup-key.ts'
import { forAll } from './for-all.ts'
import type { ObjectKey, ObjectStore } from './object-store.ts'

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

export interface Catalogue {
  /** Oldest first. */
  readonly entries: readonly BackupEntry[]
  /** Directories of the shard whose name is not that of a backup. */
  readonly ignored: readonly string[]
}

/** MANIFESTs can be large, and all of a shard are asked for. */
const READ_AT_ONCE = 4

/** A MANIFEST of a million files is smaller. What is larger is none, and would fill the memory. */
const LARGEST_MANIFEST = 256 * 1024 * 1024

/**
 * The backups of a shard. Empty only when the store is there and has none.
 * @throws the errors of the store
 */
export async function listBackups(store: ObjectStore, shard: ShardName): Promise<Catalogue> {
  const { names, ignored } = await namesOf(store, shard)
  return { entries: await forAll(names, READ_AT_ONCE, (name) => readEntry(store, shard, name)), ignored }
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
  for (const name of names.toReversed()) {
    const entry = await readEntry(store, shard, name)
    if (entry.state === 'complete') return entry
    passedOver.push(entry)
  }
  throw noneComplete(shard, passedOver)
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

/** What storage has under a backup's name; without MANIFEST it is incomplete, be there anything at all or not. */
export async function readEntry(store: ObjectStore, shard: ShardName, name: BackupName): Promise<BackupEntry> {
  const { time, alias } = parseBackupName(name)
  const identity = { name, time, tablet: alias }
  try {
    const text = await readText(store, backupKey(shard, name, MANIFEST))
    return { ...identity, state: 'complete', manifest: parseManifest(text, { shard, backup: name }) }
  } catch (error) {
    if (isError(error, 'NotFound')) return { ...identity, state: 'incomplete' }
    if (isError(error, 'CorruptBackup')) return { ...identity, state: 'corrupt', reason: error.message }
    throw error
  }
}

export function backupNotFound(shard: ShardName, name: BackupName): TabletkeeperError {
  return new TabletkeeperError('NotFound', `there is no backup ${name} of ${shard}`, {
    hint: `See: tabletkeeper list ${shard}`,
  })
}

/** Backups are there, newest first, and none can be restored from: never to be taken for "no backup". */
export function noneComplete(shard: ShardName, entries: readonly BackupEntry[]): TabletkeeperError {
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
