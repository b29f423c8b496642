import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { giveToOwner, privateFolder, privateFolderPath } from '../data/private-folder.ts'
import { orMissing } from '../system/system-error.ts'
import { realSwapFiles } from './files.ts'

const RUN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** Where run `run` puts what shall become entries of the data root `root`. */
export function stagingFolder(root: string, run: string): string {
  return runFolder(root, 'staging', run)
}

/** Where a swap of run `run` puts the old entries of `root` until it is committed. */
export function replacedFolder(root: string, run: string): string {
  return runFolder(root, 'replaced', run)
}

/** Where rolling back puts new entries on which a mysqld may have run: never to be swapped in again. */
export function spentFolder(root: string, run: string): string {
  return runFolder(root, 'spent', run)
}

/**
 * Makes the staging directory of `root` for run `run` when it is not there, and returns its path. What it holds already is left.
 * @throws InvalidConfig when `root` is no directory; InvalidInput when `run` cannot be part of a file name
 */
export async function makeStaging(root: string, run: string): Promise<string> {
  const staging = stagingFolder(root, run)
  await privateFolder(root)
  await realSwapFiles.makeDirectory(staging)
  await giveToOwner(root, staging)
  return staging
}

/** The names of the entries of one of these folders; none when it is not there. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await orMissing(readdir(folder))) ?? []
}

/**
 * The folder of run `run` for `purpose` in the private folder of the data root `root`.
 * @throws InvalidInput when `run` cannot be part of a file name
 */
export function runFolder(root: string, purpose: string, run: string): string {
  if (!RUN.test(run)) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(run)} cannot name a run`, {
      hint: 'Letters, digits, dots, dashes and underscores, 128 at most.',
    })
  }
  return join(privateFolderPath(root), `${purpose}-${run}`)
}
