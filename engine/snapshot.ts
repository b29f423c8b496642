import { constants } from 'node:fs'
import { copyFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'
import { privateFolder } from '../mysql/private-folder.ts'
import { isCode } from '../mysql/system-error.ts'
import { inParallel } from './in-parallel.ts'
import { localFileError } from './local-file-error.ts'

/** A file, and where its clone shall be: in a directory that is there, on the same file system. */
export interface FileClone {
  readonly from: string
  readonly to: string
}

/** Calls at once. Node has four threads for them; a few more keep those from waiting for the next one. */
const AT_ONCE = 8
const NOT_POSSIBLE = ['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY']

/**
 * Tells whether files of `directory` can be cloned into its private folder, by cloning a probe there. That needs a file system on which
 * files can share blocks (`FICLONE`, ioctl_ficlone(2)): XFS with reflink=1, Btrfs.
 * @throws InvalidConfig, Refused or StorageFull when the probe cannot be written
 */
export async function canReflink(directory: string): Promise<boolean> {
  const probe = join(await privateFolder(directory), `clone-probe-${process.pid}`)
  const clone = `${probe}.clone`
  try {
    await writeFile(probe, 'Can this be cloned?\n', { mode: 0o600 })
    await copyFile(probe, clone, constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch (error) {
    if (isCode(error, ...NOT_POSSIBLE)) return false
    throw localFileError(error, 'write', probe)
  } finally {
    await rm(probe, { force: true })
    await rm(clone, { force: true })
  }
}

/**
 * Clones files, about 50 µs each on two cores whatever their size, unless their pages are dirty: those are written first. A file that
 * is there already is replaced, which takes half the time.
 * @throws FenceBroken when a file is gone; Refused where files cannot be cloned; StorageFull; the signal's reason
 */
export async function cloneFiles(files: readonly FileClone[], signal: AbortSignal): Promise<void> {
  await inParallel(files, AT_ONCE, signal, async ({ from, to }) => {
    try {
      await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
    } catch (error) {
      throw failure(error, from)
    }
  })
}

function failure(error: unknown, from: string): TabletkeeperError {
  if (isCode(error, 'ENOENT')) {
    return new TabletkeeperError('FenceBroken', `${from} was removed while it was cloned`, {
      cause: error,
      hint: 'Something other than the agent works on these files: find out what, then run the backup again.',
    })
  }
  if (isCode(error, ...NOT_POSSIBLE)) {
    return new TabletkeeperError('Refused', `${from} cannot be cloned into the private folder of its data directory`, {
      cause: error,
      hint: 'Is it on another file system? Set backup.snapshot: none.',
    })
  }
  return localFileError(error, 'clone', from)
}
