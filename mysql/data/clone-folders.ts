import { basename, join } from 'node:path'
import type { ServerLayout } from '../settings/my-cnf.ts'
import { runFolder } from '../swap/folders.ts'
import type { Base, DataFile } from './data-directory.ts'

/*
 * A clone is a copy of a stopped server's files that shares their blocks, for a backup that is copied from it while mysqld runs on the files
 * themselves again. It lies in the private folder of each data root, since a root may be a mount point, and blocks are shared within one
 * file system only. Within it, files have the names that they have below their root.
 */

type Roots = Pick<ServerLayout, 'datadir' | 'innodbDataHome' | 'innodbLogHome'>

/** The clone of the data root `root` that run `run` made. */
export function cloneFolder(root: string, run: string): string {
  return runFolder(root, 'clone', run)
}

/** The directories that hold files which a backup needs, each once, the data directory first. */
export function cloneRoots({ datadir, innodbDataHome, innodbLogHome }: Roots): string[] {
  return [...new Set([datadir, innodbDataHome, innodbLogHome])]
}

/** The directory below which files of `base` have their names. */
export function rootOf(layout: Roots, base: Base): string {
  switch (base) {
    case 'Data':
      return layout.datadir
    case 'InnoDBData':
      return layout.innodbDataHome
    case 'InnoDBLog':
      return layout.innodbLogHome
  }
}

/** Files, and where the clone of run `run` has each of them. */
export function clonesOf<File extends Pick<DataFile, 'base' | 'name'>>(
  layout: Roots,
  run: string,
  files: readonly File[],
): { readonly file: File; readonly to: string }[] {
  const folderOf = (base: Base) => cloneFolder(rootOf(layout, base), run)
  const folders = { Data: folderOf('Data'), InnoDBData: folderOf('InnoDBData'), InnoDBLog: folderOf('InnoDBLog') }
  return files.map((file) => ({ file, to: `${folders[file.base]}/${file.name}` }))
}

/** The layout of a server that would run on the clone: what selects and proves the server's files does so with those of the clone. */
export function cloneLayout(layout: ServerLayout, run: string): ServerLayout {
  const innodbDataHome = cloneFolder(layout.innodbDataHome, run)
  const datadir = cloneFolder(layout.datadir, run)
  return {
    ...layout,
    datadir,
    innodbDataHome,
    innodbLogHome: cloneFolder(layout.innodbLogHome, run),
    undoDirectory: layout.undoDirectory === layout.datadir ? datadir : layout.undoDirectory,
    systemTablespace: join(innodbDataHome, basename(layout.systemTablespace)),
  }
}
