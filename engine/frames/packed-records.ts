/** Few enough that a small file takes little, many enough that the chunks themselves count for nothing. */
const RECORDS_OF_A_CHUNK = 1024

/** Records of one size, packed: with an object for each, what is known of the frames of a file of terabytes would take hundreds of MiB. */
export class PackedRecords {
  readonly #size: number
  readonly #chunks = new Map<number, Buffer>()

  /** @param size bytes of each */
  constructor(size: number) {
    this.#size = size
  }

  /** The bytes of a record, to be read; undefined where nothing near it was written, zeros where it was not written itself. */
  find(index: number): Buffer | undefined {
    const chunk = this.#chunks.get(Math.floor(index / RECORDS_OF_A_CHUNK))
    return chunk && this.#recordIn(chunk, index)
  }

  /** The bytes of a record, to be written: zeros at first. */
  at(index: number): Buffer {
    const number = Math.floor(index / RECORDS_OF_A_CHUNK)
    const chunk = this.#chunks.get(number) ?? Buffer.alloc(RECORDS_OF_A_CHUNK * this.#size)
    this.#chunks.set(number, chunk)
    return this.#recordIn(chunk, index)
  }

  #recordIn(chunk: Buffer, index: number): Buffer {
    const start = (index % RECORDS_OF_A_CHUNK) * this.#size
    return chunk.subarray(start, start + this.#size)
  }
}
