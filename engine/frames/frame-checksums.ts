import type { Checksums } from '../pool/tasks.ts'
import { PackedRecords } from './packed-records.ts'

// A record: CRC-32, SHA-256, and 1 where the frame is known.
const SHA = 4
const IS_KNOWN = SHA + 32

/** What is known of the frames of one object, in 37 bytes for each. */
export class FrameChecksums {
  readonly #records = new PackedRecords(IS_KNOWN + 1)
  #size = 0

  /** How many frames are known. */
  get size(): number {
    return this.#size
  }

  has(frame: number): boolean {
    return this.#records.find(frame)?.[IS_KNOWN] === 1
  }

  get(frame: number): Checksums | undefined {
    const record = this.#records.find(frame)
    if (record?.[IS_KNOWN] !== 1) return undefined
    return { crc: record.readUInt32LE(0), sha: record.subarray(SHA, IS_KNOWN) }
  }

  /** Keeps a copy. */
  set(frame: number, { crc, sha }: Checksums): void {
    const record = this.#records.at(frame)
    if (record[IS_KNOWN] === 0) this.#size += 1
    record.writeUInt32LE(crc, 0)
    record.set(sha, SHA)
    record[IS_KNOWN] = 1
  }
}
