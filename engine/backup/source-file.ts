import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { adviseReadOnce } from '../../mysql/system/file-blocks.ts'
import { isCode } from '../../mysql/system/system-error.ts'
import { localFileError } from '../local-file-error.ts'
import { fileChanged } from '../pool/task-error.ts'

const BLOCK = 512n

/**
 * Opens a file of a stopped server for reading, by any thread.
 * @throws FenceBroken when it is not the file that was selected; Refused when it cannot be read
 */
export async function openSource(file: DataFile): Promise<SourceFile> {
  let handle: FileHandle
  try {
    handle = await open(file.path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    throw isCode(error, 'ENOENT', 'ELOOP') ? fileChanged(file.path, error) : localFileError(error, 'read', file.path)
  }
  try {
    const { blocks } = await assertSame(handle, file)
    adviseReadOnce(handle.fd)
    return new SourceFile(handle, file, blocks * BLOCK < BigInt(file.size))
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** A file that nobody may change while it is read. */
export class SourceFile implements AsyncDisposable {
  /** Whether it has holes. */
  readonly isSparse: boolean
  readonly #handle: FileHandle
  readonly #file: DataFile

  constructor(handle: FileHandle, file: DataFile, isSparse: boolean) {
    this.#handle = handle
    this.#file = file
    this.isSparse = isSparse
  }

  /** For threads that read at positions of their own. */
  get descriptor(): number {
    return this.#handle.fd
  }

  /** Its first bytes, `length` of them or all. */
  async start(length: number): Promise<Buffer> {
    try {
      const { buffer, bytesRead } = await this.#handle.read(Buffer.alloc(length), 0, length, 0)
      return buffer.subarray(0, bytesRead)
    } catch (error) {
      throw localFileError(error, 'read', this.#file.path)
    }
  }

  /** @throws FenceBroken when it is not the file any more that was selected */
  async assertSame(): Promise<void> {
    await assertSame(this.#handle, this.#file)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

async function assertSame(handle: FileHandle, file: DataFile): Promise<{ readonly blocks: bigint }> {
  const now = await handle.stat({ bigint: true })
  if (now.size !== BigInt(file.size) || now.mtimeNs !== file.mtimeNs || now.ino !== file.inode)
    throw fileChanged(file.path)
  return now
}
