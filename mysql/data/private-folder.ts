import { chmod, lchown, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { isCode } from '../system/system-error.ts'

/**
 * Name of the folder in a data root that holds what is ours: the lease, staging, replaced data, journals. mysqld leaves alone whatever
 * starts with a dot, also while it initialises an empty data directory.
 */
export const PRIVATE_FOLDER = '.tabletkeeper'

/** Where the private folder of the data root `root` is, there or not. */
export function privateFolderPath(root: string): string {
  return join(root, PRIVATE_FOLDER)
}

/**
 * Makes the private folder of `root` when it is not there, for its owner only, and returns its path.
 * The owner is that of `root`: an agent that runs as root works for a mysqld that does not.
 * @throws InvalidConfig when `root` is no directory
 */
export async function privateFolder(root: string): Promise<string> {
  const folder = privateFolderPath(root)
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    if (!isCode(error, 'EEXIST')) {
      throw new TabletkeeperError('InvalidConfig', `no folder can be made in the data directory ${root}`, {
        hint: "The directory has to exist, and the agent has to run as its owner: see the mysqld options 'datadir' and 'innodb_…_dir'.",
        cause: error,
      })
    }
  }
  await chmod(folder, 0o700)
  await giveToOwner(root, folder)
  return folder
}

/** Gives a directory and everything in it to the owner of `reference`. Changes nothing unless this process is root's. */
export async function giveTreeToOwner(reference: string, directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  await giveToOwner(reference, directory, ...entries.map((entry) => join(entry.parentPath, entry.name)))
}

/** Gives `paths` to the owner of `reference`. Changes nothing unless this process is root's. */
export async function giveToOwner(reference: string, ...paths: readonly string[]): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(reference)
  for (const path of paths) await lchown(path, uid, gid)
}
