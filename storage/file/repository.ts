import { randomUUID } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseBackupName } from '../../model/backup-name.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { parseShardName } from '../../model/shard-name.ts'
import type { Repository } from '../object-store.ts'
import { MARKER, markerText, parseMarker } from '../repository-marker.ts'
import { writeDurably } from './durable-file.ts'
import { codeOf } from './errors.ts'
import { isVisible } from './names.ts'

/**
 * What stands at `root`. The marker tells a repository from the bare directory that a missing mount leaves behind. Directories that
 * Vitess has written to have none; they are known by what lies in them.
 * @throws InvalidConfig; errors of the file system as they are
 */
export async function readRepository(root: string): Promise<Repository> {
  const id = await readMarker(root)
  if (id !== undefined) return { state: 'ready', id }
  const entries = (await entriesOf(root)).filter((entry) => isVisible(entry.name, true))
  if (entries.length === 0) return { state: 'new' }
  if (await isVitessTree(root, entries)) return { state: 'ready', id: null }
  // Another host may have begun the repository since the first look: it writes the marker before anything else.
  const later = await readMarker(root)
  if (later !== undefined) return { state: 'ready', id: later }
  throw new TabletkeeperError('InvalidConfig', `${root} holds files that are no backups, such as ${entries[0]?.name}`, {
    hint: 'Set storage.root to an empty directory, or to one that backups are in already.',
  })
}

/** Makes the repository at `root` ready under a new id, unless somebody else did in the meantime. */
export async function writeMarker(root: string): Promise<void> {
  try {
    await writeDurably(root, join(root, MARKER), Buffer.from(markerText(randomUUID())), { ifAbsent: true })
  } catch (error) {
    if (!isError(error, 'Refused')) throw error
  }
}

async function readMarker(root: string): Promise<string | undefined> {
  const path = join(root, MARKER)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw error
  }
  return parseMarker(text, path)
}

async function entriesOf(root: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(root, { withFileTypes: true })
  } catch (cause) {
    const code = codeOf(cause)
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cause
    throw new TabletkeeperError(
      'InvalidConfig',
      `the root of the storage, ${root}, ${code === 'ENOENT' ? 'does not exist' : 'is not a directory'}`,
      {
        cause,
        hint: 'Mount or create it, or correct storage.root.',
      },
    )
  }
}

/** Keyspaces and shards only, and at least one backup in one of them. */
async function isVitessTree(root: string, keyspaces: readonly Dirent[]): Promise<boolean> {
  let backups = 0
  for (const keyspace of keyspaces) {
    if (!keyspace.isDirectory()) return false
    for (const shard of await readdir(join(root, keyspace.name), { withFileTypes: true })) {
      if (!shard.isDirectory() || !accepts(parseShardName, `${keyspace.name}/${shard.name}`)) return false
      const names = await readdir(join(root, keyspace.name, shard.name))
      backups += names.filter((name) => accepts(parseBackupName, name)).length
    }
  }
  return backups > 0
}

function accepts(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text)
    return true
  } catch {
    return false
  }
}
