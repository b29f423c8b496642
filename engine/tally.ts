import { Transform, type TransformCallback } from 'node:stream'
import { crc32 } from 'node:zlib'

/** Passes bytes on unchanged and keeps their count and CRC-32. */
export class Tally extends Transform {
  readonly #seen: (bytes: number) => void
  #bytes = 0
  #crc = 0

  constructor(seen: (bytes: number) => void = () => {}) {
    super()
    this.#seen = seen
  }

  get bytes(): number {
    return this.#bytes
  }

  /** CRC-32 (IEEE) as MANIFESTs hold it: 8 lowercase hex digits. */
  get hash(): string {
    return this.#crc.toString(16).padStart(8, '0')
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    this.#crc = crc32(chunk, this.#crc)
    this.#seen(chunk.length)
    done(null, chunk)
  }
}
