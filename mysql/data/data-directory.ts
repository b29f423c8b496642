import { type BigIntStats, type Dirent, lstatSync } from 'node:fs'
import { lstat, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { TabletkeeperError } from '../../model/errors.ts'
import { REDO_DIRECTORY, REDO_FILE } from '../process/redo-log.ts'
import type { ServerLayout } from '../settings/my-cnf.ts'
import { isCode, orMissing } from '../system/system-error.ts'
import { assertUndoInside, isTaken, keptEntries } from './data-roots.ts'

/** The directory below which a file's name is, in Vitess's words (BE:286 of `reference/vitess.md`). */
export type Base = 'Data' | 'InnoDBData' | 'InnoDBLog'

/** A file that belongs into a backup, as it was when it was selected. */
export interface DataFile {
  readonly base: Base
  /** Below the base, with `/`. */
  readonly name: string
  readonly path: string
  /** In bytes. */
  readonly size: number
  readonly mtimeNs: bigint
  readonly inode: bigint
}

type Candidate = Pick<DataFile, 'base' | 'name' | 'path'>

/** The data dictionary's tablespace. Without it mysqld does not start (seen on 9.7). */
export const DICTIONARY_FILE = 'mysql.ibd'

const BUFFER_POOL_FILE = 'ib_buffer_pool'
const ROOT_TABLESPACE = /^undo_\d+$|\.ibu$|\.ibd$/
// Vitess's isDbDir (BE:771-805).
const DATABASE_FILE = /^db\.opt$|\.(frm|sst|ibd|sdi)$/
const MYROCKS_DIRECTORY = '.rocksdb'
/** About two milliseconds of looking; then whatever else the agent has to do gets its turn. */
const LOOKS_AT_ONCE = 500

/**
 * The files of a stopped server that a backup needs, in the order in which Vitess lists them; undo and general tablespaces in the root, which
 * Vitess leaves out, follow `mysql.ibd`. Sockets, logs, certificates and everything that mysqld makes anew are not among them.
 * @throws Refused when something is there that a backup cannot hold: symbolic links, directories inside a database, files elsewhere
 */
export async function selectFiles(layout: ServerLayout): Promise<DataFile[]> {
  return await lookAtAll(await candidatesOf(layout), inspect)
}

/**
 * The same while mysqld may run on them: what it removes or renames meanwhile, as it does with redo logs all the time, is left out.
 * @throws as `selectFiles`
 */
export async function selectFilesInUse(layout: ServerLayout): Promise<DataFile[]> {
  const found = await lookAtAll(await candidatesOf(layout), (candidate) => {
    try {
      return inspect(candidate)
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
  })
  return found.filter((file) => file !== undefined)
}

async function candidatesOf(layout: ServerLayout): Promise<Candidate[]> {
  assertUndoInside(layout)
  const root = await sorted(layout.datadir)
  if (root.some((entry) => entry.name === MYROCKS_DIRECTORY)) throw refused(`${layout.datadir} has data of MyRocks`)
  return [
    ...(await systemFiles(layout)),
    ...(await redoFiles(layout)),
    ...rootTablespaces(layout, root),
    ...(await databaseFiles(layout, root)),
  ]
}

/**
 * Tells whether a data directory may be filled (`empty`), is a server's (`data`), or holds something else, such as a half-filled restore
 * or another program's files (`foreign`). Certificates, log files and our own folder do not count.
 * @throws InvalidConfig when there is no such directory
 */
export async function emptiness(layout: ServerLayout): Promise<'empty' | 'data' | 'foreign'> {
  const entries = await orMissing(readdir(layout.datadir, { withFileTypes: true }))
  if (!entries) {
    throw new TabletkeeperError('InvalidConfig', `the data directory ${layout.datadir} does not exist`, {
      hint: 'Make it, with the owner that mysqld runs as; or mount it, if it is a mount point.',
    })
  }
  const system = await orMissing(lstat(layout.systemTablespace))
  if (system && entries.some(({ name }) => name === DICTIONARY_FILE)) return 'data'
  const takes = { kind: 'all', ...keptEntries(layout) } as const
  return !system && !entries.some((entry) => isTaken(takes, entry)) ? 'empty' : 'foreign'
}

/**
 * Proves that nothing has touched the files since they were selected.
 * @throws FenceBroken that names the first file that is not what it was
 */
export async function checkUnchanged(files: readonly DataFile[]): Promise<void> {
  await lookAtAll(files, (file) => {
    const now = lstatSync(file.path, { bigint: true, throwIfNoEntry: false })
    if (now && isAsSelected(now, file)) return
    throw new TabletkeeperError('FenceBroken', `${file.path} was ${now ? 'changed' : 'removed'} while it was copied`, {
      hint: 'Something other than the agent started mysqld on these files, or wrote to them: find out what, then run the backup again.',
    })
  })
}

/** Whether a file is still what was selected: the same one, to which nobody has written since. */
export function isAsSelected(now: BigIntStats, { size, mtimeNs, inode }: DataFile): boolean {
  return now.size === BigInt(size) && now.mtimeNs === mtimeNs && now.ino === inode
}

async function systemFiles({ innodbDataHome, systemFiles }: ServerLayout): Promise<Candidate[]> {
  const here = (await sorted(innodbDataHome)).map((entry) => entry.name)
  const absent = systemFiles.find((name) => !here.includes(name))
  if (absent !== undefined)
    throw refused(`${join(innodbDataHome, absent)}, which innodb_data_file_path names, is missing`)
  return here
    .filter((name) => systemFiles.includes(name) || name === BUFFER_POOL_FILE)
    .map((name) => ({ base: 'InnoDBData', name, path: join(innodbDataHome, name) }))
}

async function redoFiles({ innodbLogHome }: ServerLayout): Promise<Candidate[]> {
  const directory = join(innodbLogHome, REDO_DIRECTORY)
  return (await sorted(directory))
    .filter((entry) => REDO_FILE.test(entry.name))
    .map(({ name }) => ({ base: 'InnoDBLog', name: `${REDO_DIRECTORY}/${name}`, path: join(directory, name) }))
}

function rootTablespaces({ datadir }: ServerLayout, root: readonly Dirent[]): Candidate[] {
  return root
    .filter(({ name }) => ROOT_TABLESPACE.test(name))
    .sort((a, b) => Number(b.name === DICTIONARY_FILE) - Number(a.name === DICTIONARY_FILE))
    .map(({ name }) => ({ base: 'Data', name, path: join(datadir, name) }))
}

async function databaseFiles(layout: ServerLayout, root: readonly Dirent[]): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for (const entry of root) {
    // mysqld writes a leading # of a database's name as @0023: these are InnoDB's own directories.
    if (entry.name.startsWith('.') || entry.name.startsWith('#')) continue
    const directory = join(layout.datadir, entry.name)
    const isLink = entry.isSymbolicLink()
    if (isLink ? !(await orMissing(stat(directory)))?.isDirectory() : !entry.isDirectory()) continue
    const names = (await sorted(directory)).map((inside) => inside.name)
    if (!names.some((name) => DATABASE_FILE.test(name))) continue
    if (isLink) throw refused(`the database directory ${directory} is a symbolic link`)
    for (const name of names)
      candidates.push({ base: 'Data', name: `${entry.name}/${name}`, path: join(directory, name) })
  }
  return candidates
}

function inspect(candidate: Candidate): DataFile {
  const { path } = candidate
  const stats = lstatSync(path, { bigint: true })
  if (stats.isSymbolicLink()) throw refused(`${path} is a symbolic link`)
  if (stats.isDirectory()) throw refused(`${path} is a directory where only files can be`)
  if (!stats.isFile()) throw refused(`${path} is not a file`)
  return { ...candidate, size: Number(stats.size), mtimeNs: stats.mtimeNs, inode: stats.ino }
}

/** Looks take microseconds each, and a thousand awaited ones many times that: the tablet may be down meanwhile. */
async function lookAtAll<T, R>(items: readonly T[], look: (item: T) => R): Promise<R[]> {
  const seen: R[] = []
  for (const [index, item] of items.entries()) {
    seen.push(look(item))
    if (index % LOOKS_AT_ONCE === LOOKS_AT_ONCE - 1) await turn()
  }
  return seen
}

/** The entries of a directory as Vitess lists them: by bytes. One that is not there has none. */
async function sorted(directory: string): Promise<Dirent[]> {
  const entries = (await orMissing(readdir(directory, { withFileTypes: true }))) ?? []
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function refused(what: string): TabletkeeperError {
  return new TabletkeeperError('Refused', what, {
    hint: 'A backup holds only plain files below the data directories; move these data, then try again.',
  })
}
