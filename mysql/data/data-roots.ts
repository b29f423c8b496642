import type { Dirent } from 'node:fs'
import { basename, dirname, relative, sep } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { REDO_DIRECTORY } from '../process/redo-log.ts'
import type { LogSeries, ServerLayout } from '../settings/my-cnf.ts'

/**
 * Which entries of a directory a swap takes. `all`: every one but those that start with a dot, `lost+found`, the files that match `keep` and
 * the directories named in `keepDirectories`. `named`: those that match `names`. Patterns are regular expressions of whole names, as text,
 * since the journal of a swap keeps them.
 */
export type Takes =
  | { readonly kind: 'all'; readonly keep: readonly string[]; readonly keepDirectories: readonly string[] }
  | { readonly kind: 'named'; readonly names: readonly string[] }

/** A directory whose entries are replaced when a tablet's data are. */
export interface DataRoot {
  readonly directory: string
  readonly takes: Takes
}

/** What is the host's own and stays where it is, whichever data the server has: its certificates, its keyring, its files for one run. */
const HOST_FILES = [String.raw`.*\.pem`, String.raw`mysqld\.my`, 'component_keyring_.*', 'keyring.*']
const LOST_AND_FOUND = 'lost+found'

const SYSTEM_EXTRAS = ['ib_buffer_pool', String.raw`ibtmp\d+`, String.raw`ibdata\d+`]
const DOUBLEWRITE_FILES = [String.raw`#ib_\d+_\d+\.b?dblwr`]
const LOG_HOME_ENTRIES = [whole(REDO_DIRECTORY), String.raw`undo_\d+_trunc\.log`, String.raw`ib_logfile\d+`]

/**
 * The directories that hold a server's data, its data directory first, each once. Logs are data here: binary logs left from other data make
 * a server believe that it has transactions which it does not have.
 * @throws Refused when the server keeps data where no backup can put them
 */
export function dataRoots(layout: ServerLayout): DataRoot[] {
  assertUndoInside(layout)
  const named = new Map<string, string[]>()
  const name = (directory: string, ...names: string[]) =>
    named.set(directory, [...new Set([...(named.get(directory) ?? []), ...names])])
  name(layout.innodbDataHome, ...layout.systemFiles.map(whole), ...SYSTEM_EXTRAS)
  name(layout.doublewriteDirectory, ...DOUBLEWRITE_FILES)
  name(layout.innodbLogHome, ...LOG_HOME_ENTRIES)
  for (const series of [layout.binlog, layout.relayLog]) if (series) nameSeries(series, name)
  named.delete(layout.datadir)
  const others = [...named].map(([directory, names]): DataRoot => ({ directory, takes: { kind: 'named', names } }))
  return [{ directory: layout.datadir, takes: { kind: 'all', ...keptEntries(layout) } }, ...others]
}

/**
 * Undo tablespaces have no base of their own in a backup: they are restored into the data directory.
 * @throws Refused
 */
export function assertUndoInside({ undoDirectory, datadir }: ServerLayout): void {
  if (undoDirectory === datadir) return
  throw new TabletkeeperError('Refused', `undo tablespaces are in ${undoDirectory}, outside the data directory`, {
    hint: 'Remove innodb_undo_directory from the configuration, after moving those files while mysqld is stopped.',
  })
}

/** Whether a swap takes an entry of a directory. */
export function isTaken(takes: Takes, entry: Pick<Dirent, 'name' | 'isDirectory'>): boolean {
  const { name } = entry
  if (name.startsWith('.')) return false
  if (takes.kind === 'named') return matches(takes.names, name)
  if (name === LOST_AND_FOUND) return false
  return !(entry.isDirectory() ? takes.keepDirectories.includes(name) : matches(takes.keep, name))
}

/** Entries of the data directory that are no data of the server: see `HOST_FILES`, and other roots that lie in it. */
export function keptEntries(layout: ServerLayout): { readonly keep: string[]; readonly keepDirectories: string[] } {
  const { datadir, errorLog, socket } = layout
  const files = [layout.defaultsFile, layout.pidFile, socket, `${socket}.lock`, ...layout.queryLogs]
  const inside = (path: string) => dirname(path) === datadir
  // Log rotation adds to the name: error.log.1, error.log-20261125.gz.
  const logs = [errorLog, ...layout.queryLogs].filter((path) => path !== undefined).filter(inside)
  return {
    keep: [
      ...HOST_FILES,
      ...files.filter(inside).map((path) => whole(basename(path))),
      ...logs.map((path) => `${whole(basename(path))}([.-].*)?`),
    ],
    keepDirectories: nestedDirectories(layout),
  }
}

/**
 * The topmost directory in the data directory of each data root that lies somewhere below it, and of everything that is the host's own:
 * without the directory of its error log or of temporary files mysqld does not start.
 */
function nestedDirectories(layout: ServerLayout): string[] {
  const logs = [layout.binlog, layout.relayLog].flatMap((series) =>
    series ? [dirname(series.basename), dirname(series.index)] : [],
  )
  const roots = [layout.innodbDataHome, layout.innodbLogHome, layout.doublewriteDirectory, ...logs]
  const files = [layout.socket, layout.pidFile, ...layout.queryLogs, ...(layout.errorLog ? [layout.errorLog] : [])]
  const below = [...roots, ...layout.workDirectories, ...files.map((path) => dirname(path))].flatMap((root) => {
    const [top = ''] = relative(layout.datadir, root).split(sep)
    return top === '' || top === '..' ? [] : [top]
  })
  return [...new Set(below)]
}

function nameSeries(series: LogSeries, name: (directory: string, ...names: string[]) => void): void {
  const base = basename(series.basename)
  name(dirname(series.basename), String.raw`${whole(base)}\.(\d{6,}|~rec~)`)
  // mysqld names a backup of the index after it, and replaces an index's extension in some places but not in others.
  const index = basename(series.index)
  const stem = index.split('.', 1)[0] ?? index
  name(dirname(series.index), `(${whole(index)}|${whole(stem)}${whole('.index')})(_crash_safe)?`)
}

/** A pattern that matches exactly `text`. */
function whole(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|#-]/g, String.raw`\$&`)
}

function matches(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => new RegExp(`^(?:${pattern})$`).test(name))
}
