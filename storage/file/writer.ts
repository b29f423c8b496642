import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { O_DIRECT } from '../../mysql/system/direct-io.ts'
import type { ObjectWriter } from '../object-store.ts'
import { openBelow, writeAll } from './durable-file.ts'
import { codeOf, type FileOperation, syncing, translated } from './errors.ts'

/** A file that is written from some position on. */
export interface GrowingFile {
  /** Bytes that outlive this process. */
  readonly kept: number
  write(bytes: Uint8Array): Promise<void>
  /** All that was written is kept when it resolves. */
  finish(): Promise<void>
  close(): Promise<void>
}

export interface OpenedFile {
  readonly handle: FileHandle
  /** What positions and lengths of writes must be multiples of, in bytes; undefined: of nothing. */
  readonly block: number | undefined
}

/** Opens a file for writing, which is created where it is missing. @throws errors of the file system */
export async function openForWriting(
  path: string,
  { block, makeDirectory }: { readonly block: number | undefined; readonly makeDirectory: () => Promise<void> },
): Promise<OpenedFile> {
  const flags = constants.O_RDWR | constants.O_CREAT
  if (block !== undefined) {
    try {
      return { handle: await openBelow(path, flags | O_DIRECT, makeDirectory), block }
    } catch (error) {
      if (codeOf(error) !== 'EINVAL') throw error
    }
  }
  return { handle: await openBelow(path, flags, makeDirectory), block: undefined }
}

/** Writes at positions of its own, so that what an earlier process left behind does not matter. */
export class CachedFile implements GrowingFile {
  readonly #handle: FileHandle
  #kept: number

  constructor(handle: FileHandle, kept: number) {
    this.#handle = handle
    this.#kept = kept
  }

  get kept(): number {
    return this.#kept
  }

  async write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.#handle, bytes, this.#kept)
    this.#kept += bytes.length
  }

  /** A file is whole as it is. */
  async finish(): Promise<void> {}

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** A file as an object that is being written. */
export class FileWriter implements ObjectWriter {
  readonly #file: GrowingFile
  readonly #operation: FileOperation
  readonly #onClose: () => void

  constructor(file: GrowingFile, operation: FileOperation, onClose: () => void) {
    this.#file = file
    this.#operation = operation
    this.#onClose = onClose
  }

  get kept(): number {
    return this.#file.kept
  }

  async write(bytes: Uint8Array): Promise<void> {
    await translated(this.#operation, () => this.#file.write(bytes))
  }

  async finish(): Promise<void> {
    await translated(this.#operation, () => this.#file.finish())
  }

  async close(): Promise<void> {
    this.#onClose()
    await syncing(this.#operation, () => this.#file.close())
  }
}
