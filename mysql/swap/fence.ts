import { basename, dirname, join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { lockFile } from '../system/file-lock.ts'
import { orMissing } from '../system/system-error.ts'
import { replacedFolder, spentFolder, stagingFolder } from './folders.ts'

/**
 * Keeps every mysqld from starting on old or new data while they move: locks the system tablespace wherever run `run` has one.
 * @throws Refused (retryable) when a mysqld, or an agent, holds one of them
 */
export async function lockAgainstMysqld(systemTablespace: string, run: string): Promise<AsyncDisposable> {
  const root = dirname(systemTablespace)
  const name = basename(systemTablespace)
  const folders = [root, replacedFolder(root, run), stagingFolder(root, run), spentFolder(root, run)]
  const held = new AsyncDisposableStack()
  try {
    for (const folder of folders) {
      const path = join(folder, name)
      const outcome = await orMissing(lockFile(path).then((lock) => lock ?? 'held'))
      if (outcome === 'held') {
        throw new TabletkeeperError('Refused', `the data cannot be swapped: ${path} is in use`, {
          hint: 'Stop the mysqld that runs on these data, then try again.',
          retryable: true,
        })
      }
      if (outcome) held.use(outcome)
    }
  } catch (error) {
    await held.disposeAsync()
    throw error
  }
  return held
}
