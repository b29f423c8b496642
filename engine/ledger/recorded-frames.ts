import { PackedRecords } from '../frames/packed-records.ts'
import type { FrameDigest } from '../object-digest.ts'

// A record: plain size, stored size, CRC-32, number of bad pages, SHA-256.
const STORED = 4
const CRC = 8
const BAD_PAGES = 12
const SHA = 16
const RECORD = SHA + 32

/** @property badPages how many of its pages are bad */
export type RecordedFrame = FrameDigest & { readonly badPages: number }

/** Frames that an attempt has stored of one object, in their order and in 48 bytes for each. */
export class RecordedFrames implements Iterable<RecordedFrame> {
  readonly #records = new PackedRecords(RECORD)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Keeps a copy. */
  add({ plain, stored, crc, sha, badPages }: RecordedFrame): void {
    const record = this.#records.at(this.#length)
    record.writeUInt32LE(plain, 0)
    record.writeUInt32LE(stored, STORED)
    record.writeUInt32LE(crc, CRC)
    record.writeUInt32LE(badPages, BAD_PAGES)
    record.set(sha, SHA)
    this.#length += 1
  }

  /** Forgets all but the first `kept`. @returns how many bad pages the others had */
  cut(kept: number): number {
    let badPages = 0
    for (const frame of this.#from(kept)) badPages += frame.badPages
    this.#length = Math.min(this.#length, kept)
    return badPages
  }

  [Symbol.iterator](): Generator<RecordedFrame> {
    return this.#from(0)
  }

  *#from(first: number): Generator<RecordedFrame> {
    for (let index = first; index < this.#length; index++) {
      const record = this.#records.at(index)
      yield {
        plain: record.readUInt32LE(0),
        stored: record.readUInt32LE(STORED),
        crc: record.readUInt32LE(CRC),
        badPages: record.readUInt32LE(BAD_PAGES),
        sha: record.subarray(SHA),
      }
    }
  }
}
