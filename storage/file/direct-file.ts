import type { FileHandle } from 'node:fs/promises'
import { alignedBuffer } from '../../mysql/system/direct-io.ts'
import { writeAll } from './durable-file.ts'
import type { GrowingFile } from './writer.ts'

/** Written at once: more is not faster. */
const CHUNK = 1024 * 1024

/**
 * A file that was opened with O_DIRECT: memory, positions and lengths of its writes are multiples of a block. What does not fill one yet
 * waits here.
 */
export class DirectFile implements GrowingFile {
  readonly #handle: FileHandle
  readonly #block: number
  readonly #chunk: Buffer
  /** Where the chunk belongs: a multiple of the block. */
  #position: number
  #filled = 0
  #kept: number

  private constructor(handle: FileHandle, kept: number, block: number) {
    this.#handle = handle
    this.#kept = kept
    this.#block = block
    this.#position = kept - (kept % block)
    this.#chunk = alignedBuffer(Math.max(CHUNK, block), block)
  }

  /** Goes on with a file of `kept` bytes, whatever was written of its last block. @throws errors of the file system */
  static async open(handle: FileHandle, kept: number, block: number): Promise<DirectFile> {
    const file = new DirectFile(handle, kept, block)
    file.#filled = kept - file.#position
    if (file.#filled > 0) await handle.read(file.#chunk, 0, block, file.#position)
    return file
  }

  get kept(): number {
    return this.#kept
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let taken = 0; taken < bytes.length; ) {
      const piece = bytes.subarray(taken, taken + this.#chunk.length - this.#filled)
      this.#chunk.set(piece, this.#filled)
      this.#filled += piece.length
      taken += piece.length
      if (this.#filled < this.#chunk.length) return
      await writeAll(this.#handle, this.#chunk, this.#position)
      this.#position += this.#filled
      this.#filled = 0
      this.#kept = this.#position
    }
  }

  /** Writes what waits as a whole block, and cuts off what is too much. */
  async finish(): Promise<void> {
    if (this.#filled === 0) return
    const length = Math.ceil(this.#filled / this.#block) * this.#block
    this.#chunk.fill(0, this.#filled, length)
    await writeAll(this.#handle, this.#chunk.subarray(0, length), this.#position)
    this.#kept = this.#position + this.#filled
    await this.#handle.truncate(this.#kept)
  }

  async close(): Promise<void> {
    const { buffer } = this.#chunk
    if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0)
    await this.#handle.close()
  }
}
