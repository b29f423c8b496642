import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { TabletkeeperError } from '../../model/errors.ts'
import type { ByteRange } from '../object-store.ts'
import { type FileOperation, storageError } from './errors.ts'

/** Few calls a megabyte, and little memory for each file that is read at once. */
const CHUNK = 1024 * 1024

/** The bytes of an open file, which it closes. It gives all of `range` or fails as the store's contract says. */
export class FileReader extends Readable {
  readonly #handle: FileHandle
  readonly #operation: FileOperation
  readonly #end: number
  #at: number

  constructor(handle: FileHandle, range: ByteRange, operation: FileOperation) {
    super({ highWaterMark: CHUNK })
    this.#handle = handle
    this.#operation = operation
    this.#at = range.start
    this.#end = range.end + 1
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk),
      (error: unknown) => this.destroy(storageError(error, this.#operation)),
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#handle.close().then(
      () => done(error),
      () => done(error),
    )
  }

  async #next(): Promise<Buffer | null> {
    const wanted = Math.min(CHUNK, this.#end - this.#at)
    if (wanted === 0) return null
    const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafeSlow(wanted), 0, wanted, this.#at)
    if (bytesRead === 0) {
      const { doing, store } = this.#operation
      throw new TabletkeeperError(
        'StorageUnavailable',
        `could not ${doing} in ${store}: it ended at byte ${this.#at} of ${this.#end}`,
      )
    }
    this.#at += bytesRead
    return buffer.subarray(0, bytesRead)
  }
}
