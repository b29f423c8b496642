import { closeSync, constants, fstatSync, ftruncateSync, openSync, unlinkSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { TabletkeeperError } from '../../model/errors.ts'
import { type DataFile, isAsSelected } from '../../mysql/data/data-directory.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { shareBlocks } from '../../mysql/system/file-blocks.ts'
import { isCode } from '../../mysql/system/system-error.ts'
import { localFileError } from '../local-file-error.ts'

/** A file, and where its clone shall be: in a directory that is there, on the same file system. */
export interface FileClone<File extends Pick<DataFile, 'path'> = Pick<DataFile, 'path'>> {
  readonly file: File
  readonly to: string
}

/** About two milliseconds of cloning; then whatever else the agent has to do gets its turn. */
const AT_ONCE = 50
const NOT_POSSIBLE = ['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY']
const { O_RDONLY, O_WRONLY, O_CREAT, O_NOFOLLOW } = constants

/**
 * Tells whether files of `directory` can be cloned into its private folder, by cloning a probe there. That needs a file system on which
 * files can share blocks: XFS with reflink=1, Btrfs.
 * @throws InvalidConfig, Refused or StorageFull when the probe cannot be written
 */
export async function canReflink(directory: string): Promise<boolean> {
  const probe = join(await privateFolder(directory), `clone-probe-${process.pid}`)
  try {
    await writeFile(probe, 'Can this be cloned?\n', { mode: 0o600 })
    return await canCloneInto(directory, probe)
  } catch (error) {
    throw localFileError(error, 'write', probe)
  } finally {
    await rm(probe, { force: true })
  }
}

/**
 * Tells whether a file can be cloned into the private folder of `directory`, by doing so. On Btrfs one that is written in place
 * (`chattr +C`) cannot be cloned into a folder for others. A file that is gone is no obstacle.
 * @throws InvalidConfig, Refused or StorageFull when the clone cannot be written
 */
export async function canCloneInto(directory: string, path: string): Promise<boolean> {
  const clone = join(await privateFolder(directory), `clone-probe-${process.pid}.clone`)
  try {
    reading(path, (source) => {
      writing(clone, (target) => {
        // First: a crash must not leave what holds the blocks of a table.
        unlinkSync(clone)
        shareBlocks(source, target)
      })
    })
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT')) return true
    if (isCode(error, ...NOT_POSSIBLE)) return false
    throw localFileError(error, 'clone', path)
  }
}

/**
 * Clones files, about 25 µs each whatever their size, unless they have dirty pages: those are written first. A clone that is there already
 * becomes that of this file; one that is there and empty takes less time than one that is not.
 * @throws FenceBroken when a file is gone; Refused where files cannot be cloned; StorageFull; the signal's reason
 */
export async function cloneFiles(files: readonly FileClone[], signal: AbortSignal): Promise<void> {
  await inTurns(files, signal, ({ file, to }) => {
    try {
      reading(file.path, (source) => writing(to, (target) => replaceBy(source, target)))
    } catch (error) {
      throw failure(error, file.path)
    }
  })
}

/**
 * Clones files while others may write to them, except those that are gone or no longer what was selected.
 * @returns those that were cloned
 * @throws as `cloneFiles`
 */
export async function cloneAsSelected(files: readonly FileClone<DataFile>[], signal: AbortSignal): Promise<DataFile[]> {
  const cloned: DataFile[] = []
  await inTurns(files, signal, ({ file, to }) => {
    try {
      reading(file.path, (source) => {
        if (!isAsSelected(fstatSync(source, { bigint: true }), file)) return
        writing(to, (target) => replaceBy(source, target))
        cloned.push(file)
      })
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw failure(error, file.path)
    }
  })
  return cloned
}

/** One after the other: several at once wait for each other in the file system, and cost twice the CPU time. */
async function inTurns<T>(items: readonly T[], signal: AbortSignal, act: (item: T) => void): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index % AT_ONCE === 0) await turn()
    signal.throwIfAborted()
    act(item)
  }
}

function replaceBy(source: number, target: number): void {
  if (fstatSync(target).size > 0) ftruncateSync(target)
  shareBlocks(source, target)
}

function reading<T>(path: string, action: (descriptor: number) => T): T {
  return withOpen(openSync(path, O_RDONLY | O_NOFOLLOW), action)
}

function writing<T>(path: string, action: (descriptor: number) => T): T {
  return withOpen(openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600), action)
}

function withOpen<T>(descriptor: number, action: (descriptor: number) => T): T {
  try {
    return action(descriptor)
  } finally {
    closeSync(descriptor)
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
      hint: 'Is it on another file system, or on Btrfs and chattr +C unlike that folder? Set backup.snapshot: none.',
    })
  }
  return localFileError(error, 'clone', from)
}
