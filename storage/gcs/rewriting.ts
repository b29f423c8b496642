import type { Readable } from 'node:stream'
import { crc32c } from '@node-rs/crc32'
import { TabletkeeperError } from '../../model/errors.ts'
import type { GcsConnection } from './connection.ts'
import { type GcsObject, removeObject } from './object.ts'
import { readObject } from './reader.ts'
import { GcsWriter, type Writing } from './writer.ts'

/** More than a process can have sent and not heard of: two chunks and a frame. */
export const MOST_REWRITTEN = 40 * 1024 * 1024

/** Bytes of an object that had arrived when a process ended, and were written again by the next one. */
export interface Rewritten {
  readonly start: number
  readonly length: number
  /** CRC-32C of what was written the second time. */
  readonly crc: number
}

/**
 * Bytes that a bucket has already and that are written once more: no byte of a resumable upload can be replaced, so they are not sent
 * again. As a rule they are the same. Whether they are shows when the object is whole and can be read: where they are not, it is made
 * anew from those that were written.
 */
export class Rewriting {
  readonly #start: number
  readonly #bytes: Buffer
  readonly #before: readonly Rewritten[]
  readonly #record: (rewritten: Rewritten) => Promise<boolean>
  #filled = 0
  #isWhole: boolean
  #isRecorded: boolean

  /**
   * @param before what earlier processes have written again of the same object
   * @param record told when all of it was written; more is said to be kept only if a later process can prove it by a record
   */
  constructor(
    { start, length }: { readonly start: number; readonly length: number },
    before: readonly Rewritten[],
    record: (rewritten: Rewritten) => Promise<boolean>,
  ) {
    this.#start = start
    this.#bytes = Buffer.allocUnsafeSlow(length)
    this.#before = before
    this.#record = record
    this.#isWhole = length === 0
    this.#isRecorded = length === 0
  }

  /** How much of the object is kept when `end` bytes of it have arrived. */
  kept(end: number): number {
    return this.#isRecorded ? end : this.#start
  }

  /** Takes what belongs here. @returns the rest */
  async take(bytes: Uint8Array): Promise<Uint8Array> {
    const mine = bytes.subarray(0, this.#bytes.length - this.#filled)
    this.#bytes.set(mine, this.#filled)
    this.#filled += mine.length
    if (!this.#isWhole && this.#filled === this.#bytes.length) {
      this.#isWhole = true
      this.#isRecorded = await this.#record({ start: this.#start, length: this.#filled, crc: crc32c(this.#bytes) })
    }
    return bytes.subarray(mine.length)
  }

  /**
   * Makes a whole object of `size` bytes what was written, and not what had arrived before.
   * @throws StorageUnavailable when that cannot be done any more; then the object is gone
   */
  async settle(stored: GcsObject, writing: Writing): Promise<void> {
    const { gcs, object } = writing
    for (const earlier of this.#before) {
      if (earlier.crc === (await checksumOf(gcs, object.key, earlier))) continue
      await removeObject(gcs, object.key, stored.generation)
      throw new TabletkeeperError(
        'StorageUnavailable',
        `${object.key} in ${gcs.description} has other bytes than were written, from byte ${earlier.start} on`,
        { hint: 'It was begun by another version of tabletkeeper, perhaps: the next attempt begins it anew.' },
      )
    }
    const written = this.#bytes.subarray(0, this.#filled)
    if (this.#isWhole) {
      if (written.length === 0) return
      const there = await checksumOf(gcs, object.key, { start: this.#start, length: written.length })
      if (there === crc32c(written)) return
    }
    await this.#replace(stored, written, { gcs, memory: writing.memory, object })
  }

  /** The length that an object has which ends within the bytes that are written again; undefined when it goes on after them. */
  get end(): number | undefined {
    return this.#isWhole ? undefined : this.#start + this.#filled
  }

  async #replace({ size }: GcsObject, written: Buffer, writing: Writing): Promise<void> {
    const writer = new GcsWriter(writing)
    try {
      const copy = async (start: number, end: number) => {
        if (start === end) return
        for await (const bytes of await rangeOf(writing.gcs, writing.object.key, start, end)) await writer.write(bytes)
      }
      await copy(0, this.#start)
      await writer.write(written)
      if (this.#isWhole) await copy(this.#start + written.length, size)
      await writer.finish()
    } finally {
      await writer.discard()
    }
  }
}

/** @param end the first byte after it */
async function rangeOf(gcs: GcsConnection, key: string, start: number, end: number): Promise<Readable> {
  const body = await readObject(gcs, key, { start, end: end - 1 })
  if (body !== undefined) return body
  throw new TabletkeeperError('StorageUnavailable', `${gcs.description} has lost ${key}, which was just stored`)
}

async function checksumOf(gcs: GcsConnection, key: string, { start, length }: Omit<Rewritten, 'crc'>): Promise<number> {
  let crc = 0
  for await (const bytes of await rangeOf(gcs, key, start, start + length)) crc = crc32c(bytes, crc)
  return crc
}
