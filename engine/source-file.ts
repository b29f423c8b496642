import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { TabletkeeperError } from '../model/errors.ts'
import type { DataFile } from '../mysql/data-directory.ts'
import { isCode } from '../mysql/system-error.ts'
import { localFileError } from './local-file-error.ts'

const CHUNK = 1024 * 1024

/**
 * Opens a file of a stopped server for reading.
 * @throws FenceBroken when it is not the file that was selected; Refused when it cannot be read
 */
export async function openSource(file: DataFile, seen: (bytes: number) => void): Promise<SourceFile> {
  let handle: FileHandle
  try {
    handle = await open(file.path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    throw isCode(error, 'ENOENT', 'ELOOP') ? changed(file, error) : localFileError(error, 'read', file.path)
  }
  try {
    await assertSame(handle, file)
    return new SourceFile(handle, file, seen)
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** The bytes of a file that nobody may change meanwhile: it ends well only when the file is the same at its end as it was selected. */
export class SourceFile extends Readable {
  readonly #handle: FileHandle
  readonly #file: DataFile
  readonly #seen: (bytes: number) => void
  #at = 0

  constructor(handle: FileHandle, file: DataFile, seen: (bytes: number) => void) {
    super({ highWaterMark: CHUNK })
    this.#handle = handle
    this.#file = file
    this.#seen = seen
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk),
      (error: unknown) => this.destroy(localFileError(error, 'read', this.#file.path)),
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#handle.close().then(
      () => done(error),
      () => done(error),
    )
  }

  async #next(): Promise<Buffer | null> {
    const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafeSlow(CHUNK), 0, CHUNK, this.#at)
    this.#at += bytesRead
    if (this.#at > this.#file.size) throw changed(this.#file)
    if (bytesRead === 0) {
      if (this.#at < this.#file.size) throw changed(this.#file)
      await assertSame(this.#handle, this.#file)
      return null
    }
    this.#seen(bytesRead)
    return buffer.subarray(0, bytesRead)
  }
}

async function assertSame(handle: FileHandle, file: DataFile): Promise<void> {
  const now = await handle.stat({ bigint: true })
  if (now.size !== BigInt(file.size) || now.mtimeNs !== file.mtimeNs || now.ino !== file.inode) throw changed(file)
}

function changed(file: DataFile, cause?: unknown): TabletkeeperError {
  return new TabletkeeperError('FenceBroken', `${file.path} was changed while it was copied`, {
    cause,
    hint: 'Something else works on the data directory: a mysqld that was started meanwhile, or a person. The backup was not completed.',
  })
}
