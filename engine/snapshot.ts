import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { TabletkeeperError } from '../model/errors.ts'
import { privateFolder } from '../mysql/private-folder.ts'
import { shareBlocks } from '../mysql/system-calls.ts'
import { isCode } from '../mysql/system-error.ts'
import { localFileError } from './local-file-error.ts'

/** A file, and where its clone shall be: in a directory that is there, on the same file system. */
export interface FileClone {
  readonly from: string
  readonly to: string
}

/** About two milliseconds of cloning; then whatever else the agent has to do gets its turn. */
const AT_ONCE = 100
const NOT_POSSIBLE = ['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY']
const { O_RDONLY, O_WRONLY, O_CREAT, O_NOFOLLOW } = constants

/**
 * Tells whether files of `directory` can be cloned into its private folder, by cloning a probe there. That needs a file system on which
 * files can share blocks: XFS with reflink=1, Btrfs.
 * @throws InvalidConfig, Refused or StorageFull when the probe cannot be written
 */
export async function canReflink(directory: string): Promise<boolean> {
  const probe = join(await privateFolder(directory), `clone-probe-${process.pid}`)
  const clone = `${probe}.clone`
  try {
    await writeFile(probe, 'Can this be cloned?\n', { mode: 0o600 })
    cloneFile({ from: probe, to: clone })
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
 * Clones files, about 25 µs each whatever their size, unless they have dirty pages: those are written first. A clone that is there already
 * becomes that of this file; one that is there and empty takes less time than one that is not.
 * @throws FenceBroken when a file is gone; Refused where files cannot be cloned; StorageFull; the signal's reason
 */
export async function cloneFiles(files: readonly FileClone[], signal: AbortSignal): Promise<void> {
  // One after the other: several at once wait for each other in the file system, and cost twice the CPU time.
  for (const [index, file] of files.entries()) {
    if (index % AT_ONCE === 0) await turn()
    signal.throwIfAborted()
    try {
      cloneFile(file)
    } catch (error) {
      throw failure(error, file.from)
    }
  }
}

function cloneFile({ from, to }: FileClone): void {
  const source = openSync(from, O_RDONLY | O_NOFOLLOW)
  try {
    const clone = openSync(to, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600)
    try {
      if (fstatSync(clone).size > 0) ftruncateSync(clone)
      shareBlocks(source, clone)
    } finally {
      closeSync(clone)
    }
  } finally {
    closeSync(source)
  }
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
