import { createHash } from 'node:crypto'
import { combineCrc32 } from '../model/crc32-combine.ts'
import { FrameSizeList, type FrameSizes } from './frames/frame-sizes.ts'
import { formatSeekTable } from './frames/seek-table.ts'

/** One stored frame, as its checksums describe it. */
export interface FrameDigest extends FrameSizes {
  /** CRC-32 of the stored bytes. */
  readonly crc: number
  /** SHA-256 of the stored bytes. */
  readonly sha: Uint8Array
}

/**
 * Keeps what the MANIFEST says of an object while its frames are stored one after the other: both checksums of the whole come from those
 * of its frames, in constant time for each, whichever process stored them.
 */
export class ObjectDigest {
  readonly #hash = createHash('sha256')
  readonly #frames = new FrameSizeList()
  #crc = 0
  #stored = 0
  #plain = 0

  get frames(): number {
    return this.#frames.length
  }

  /** Stored bytes so far. */
  get stored(): number {
    return this.#stored
  }

  /** Plain bytes so far. */
  get plain(): number {
    return this.#plain
  }

  /** CRC-32 of the stored bytes so far, as MANIFESTs hold it: 8 lowercase hex digits. */
  get crc(): string {
    return this.#crc.toString(16).padStart(8, '0')
  }

  addFrame(frame: FrameDigest): void {
    this.#frames.add(frame)
    this.#add(frame)
  }

  /** The seek table of the frames so far. */
  seekTable(): Buffer {
    return formatSeekTable(this.#frames)
  }

  /** Adds the seek table, after which nothing may be added. */
  addSeekTable(table: Omit<FrameDigest, 'plain'>): void {
    this.#add({ ...table, plain: 0 })
  }

  /** SHA-256 over the SHA-256 of each frame and of the seek table. The digest cannot be used any more. */
  hash(): string {
    return this.#hash.digest('hex')
  }

  #add({ crc, sha, stored, plain }: FrameDigest): void {
    this.#crc = combineCrc32(this.#crc, crc, stored)
    this.#hash.update(sha)
    this.#stored += stored
    this.#plain += plain
  }
}
