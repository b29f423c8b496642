import type { FileHandle } from 'node:fs/promises'
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { addAbortSignal, Readable } from 'node:stream'
import { TabletkeeperError } from '../../model/errors.ts'
import type { PutOptions } from '../object-store.ts'
import { codeOf } from './errors.ts'
import { temporaryNameOf } from './names.ts'

/** Of every file of the store: nobody but owner and group reads it. */
export const FILE_MODE = 0o640
const DIRECTORY_MODE = 0o750

/** File systems that know no hard links say so in one of these ways. */
const NO_HARD_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'])

/** Failed by the body, not by the file system: thrown on as it is. */
export class BodyFailure extends Error {}

/**
 * Writes `path`, which is below `root`, so that it is there whole and durable or not at all: under a temporary name, fsync, then
 * renamed, then the directory fsynced. Directories are made as needed, `root` never.
 * @param prove called before directories are made: they may be missing because `root` is not what it was
 * @returns the bytes written
 * @throws BodyFailure with the body's error, or the signal's reason, as cause; Refused when `ifAbsent` and it exists; errors of the file system
 */
export async function writeDurably(
  root: string,
  path: string,
  body: Buffer | Readable,
  { ifAbsent = false, signal }: PutOptions = {},
  prove: () => Promise<unknown> = async () => undefined,
): Promise<number> {
  const temporary = join(dirname(path), temporaryNameOf(basename(path)))
  const handle = await openBelow(temporary, 'wx', async () => {
    await prove()
    await makeDirectories(root, dirname(path))
  })
  try {
    const size = await fill(handle, body, signal)
    if (signal?.aborted) throw new BodyFailure('aborted', { cause: signal.reason })
    await (ifAbsent ? publishIfAbsent(temporary, path) : rename(temporary, path))
    await syncDirectory(dirname(path))
    return size
  } catch (error) {
    // What failed is what the caller has to know; a file that cannot be removed now is found by abortUploads.
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

/** Makes what was done to the entries of a directory durable, where its file system can. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some network file systems have no fsync for directories; their servers write through.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error) ?? '')) throw error
  } finally {
    await handle.close()
  }
}

/** Opens a file that is created. Directories may be removed again by other hosts, which found them empty, while they are made here. */
export async function openBelow(
  path: string,
  flags: 'wx' | number,
  makeDirectory: () => Promise<void>,
): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (attempt > 1) await makeDirectory()
      return await open(path, flags, FILE_MODE)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === 10) throw error
    }
  }
}

/** Makes `directory`, which is below `root`, and those between, durably; those that exist are no error. */
export async function makeDirectories(root: string, directory: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await makeEach(root, directory)
    } catch (error) {
      // Somebody else removes a directory that is empty, just before the next one is made in it.
      if (codeOf(error) !== 'ENOENT' || attempt === 10 || !(await exists(root))) throw error
    }
  }
}

async function makeEach(root: string, directory: string): Promise<void> {
  let parent = root
  const below = relative(root, directory)
  if (below === '') return
  for (const name of below.split('/')) {
    const made = join(parent, name)
    try {
      await mkdir(made, DIRECTORY_MODE)
    } catch (error) {
      // Not every file system says EEXIST when another host was faster.
      if (codeOf(error) !== 'EEXIST' && !(await exists(made))) throw error
    }
    await syncDirectory(parent)
    parent = made
  }
}

async function fill(handle: FileHandle, body: Buffer | Readable, signal: AbortSignal | undefined): Promise<number> {
  try {
    let size = 0
    for await (const chunk of chunksOf(body, signal)) {
      await writeAll(handle, chunk)
      size += chunk.length
    }
    await handle.sync()
    return size
  } finally {
    await handle.close()
  }
}

async function* chunksOf(body: Buffer | Readable, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  try {
    if (body instanceof Readable) yield* signal === undefined ? body : addAbortSignal(signal, body)
    else yield body
  } catch (error) {
    throw new BodyFailure('the body failed', { cause: signal?.aborted ? signal.reason : error })
  }
}

/** Writes all of `bytes`, from byte `position` of the file on, or after what was written before. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const at = position === undefined ? null : position + written
    written += (await handle.write(bytes, written, undefined, at)).bytesWritten
  }
}

/** Of several writers one gets the name: a hard link is made only where nothing is. */
async function publishIfAbsent(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (NO_HARD_LINKS.has(codeOf(error))) return claimAndRename(temporary, path)
    // NFS repeats a request whose answer was lost, and then finds what it did itself.
    const ownWork = codeOf(error) === 'EEXIST' && (await stat(temporary)).nlink === 2
    if (!ownWork) throw codeOf(error) === 'EEXIST' ? existsAlready(path, error) : error
  }
  await rm(temporary)
}

/** Without hard links: a file that only one can create decides who may rename. One left by a crash is removed by abortUploads. */
async function claimAndRename(temporary: string, path: string): Promise<void> {
  const claim = join(dirname(path), `.tmp-${'0'.repeat(16)}-${basename(path)}`)
  try {
    await (await open(claim, 'wx', FILE_MODE)).close()
  } catch (error) {
    // SFTP has no word for "exists already": whatever it says, somebody else has the claim or was done with it just now.
    throw (await exists(claim)) || (await exists(path)) ? existsAlready(path, error) : error
  }
  try {
    if (await exists(path)) throw existsAlready(path)
    await rename(temporary, path)
  } finally {
    await rm(claim, { force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

function existsAlready(path: string, cause?: unknown): TabletkeeperError {
  return new TabletkeeperError('Refused', `${path} exists already`, {
    cause,
    hint: 'Somebody else has written it: look whether two runs make the same backup.',
  })
}
