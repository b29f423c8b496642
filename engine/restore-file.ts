import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { addAbortSignal, pipeline, type Readable } from 'node:stream'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { FILE_MODE } from '../storage/durable-file.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { closed } from './closed.ts'
import type { Decompression } from './decompressors.ts'
import { localFileError } from './local-file-error.ts'
import type { FileRestore } from './restore-plan.ts'
import { Tally } from './tally.ts'

const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants

export interface FileDownload {
  readonly file: FileRestore
  readonly store: ObjectStore
  readonly decompression: Decompression
  readonly signal: AbortSignal
  /** Told of stored bytes as they are read. */
  readonly seen: (bytes: number) => void
}

/**
 * Writes one file from an object of Vitess, which is one compressed stream; its directory must be there. What is there already is
 * overwritten. Nothing runs any more when this settles.
 * @returns its plain size
 * @throws CorruptBackup naming the object when its bytes are not those of the MANIFEST; StorageFull or Refused when the host's own disk
 * says no; the errors of the store; the signal's reason
 */
export async function restoreFile({ file, store, decompression, signal, seen }: FileDownload): Promise<number> {
  const output = await local(file, open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE))
  try {
    const stored = new Tally(seen)
    let size = 0
    for await (const chunk of plainBytes(file, store, stored, decompression, signal)) {
      await local(file, writeAll(output, chunk))
      size += chunk.length
    }
    assertHash(file, stored)
    return size
  } finally {
    await output.close()
  }
}

async function openObject(store: ObjectStore, key: string): Promise<Readable> {
  try {
    return await store.get(key)
  } catch (error) {
    if (!isError(error, 'NotFound')) throw error
    throw new TabletkeeperError('CorruptBackup', `${key} is missing in storage`, { cause: error })
  }
}

async function* plainBytes(
  { key, storedSize }: FileRestore,
  store: ObjectStore,
  stored: Tally,
  decompression: Decompression,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const body = await openObject(store, key)
  // Vitess's zstd makes no bytes at all of an empty file.
  const stages = storedSize === 0 ? [stored] : [stored, ...decompression()]
  const last = stages.at(-1) ?? stored
  try {
    // Whatever fails destroys the last stage with its error, which the loop then throws. Nothing may be awaited before: the body can fail.
    pipeline([body, ...stages], () => {})
    addAbortSignal(signal, body)
    yield* last
  } catch (error) {
    signal.throwIfAborted()
    if (isError(error)) throw error
    throw new TabletkeeperError('CorruptBackup', `${key} cannot be decompressed: ${messageOf(error)}`, { cause: error })
  } finally {
    body.destroy()
    await closed(body)
  }
}

function assertHash(file: FileRestore, stored: Tally): void {
  if (stored.hash === file.hash) return
  throw new TabletkeeperError('CorruptBackup', `${file.key} has CRC-32 ${stored.hash} instead of ${file.hash}`)
}

async function local<T>(file: FileRestore, action: Promise<T>): Promise<T> {
  try {
    return await action
  } catch (error) {
    throw localFileError(error, 'write', file.path)
  }
}

async function writeAll(output: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await output.write(bytes, written)).bytesWritten
  }
}
