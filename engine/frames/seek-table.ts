import { TabletkeeperError } from '../../model/errors.ts'
import type { FrameSizes } from './frame-sizes.ts'

// Zstandard Seekable Format, version 0.1.0 (facebook/zstd, contrib/seekable_format): a skippable frame at the end of the object. Its
// checksums are left out, as the frames have their own.
const SKIPPABLE_MAGIC = 0x184d2a5e
const SEEKABLE_MAGIC = 0x8f92eab1
const HEADER = 8
const ENTRY = 8
const FOOTER = 9
/** zstd's own limit of frames in a seek table. */
const MOST_FRAMES = 0x8000000

/** Where a frame is in its object and in its file. */
export interface FramePlace extends FrameSizes {
  readonly storedOffset: number
  readonly plainOffset: number
}

/** Where all frames of an object are, in their order: told by its seek table each time, which takes a tenth of a list of places. */
export interface FramePlaces extends Iterable<FramePlace> {
  readonly length: number
}

/** Bytes of the seek table of so many frames. */
export function seekTableSize(frames: number): number {
  return HEADER + ENTRY * frames + FOOTER
}

/** No frame of so many plain bytes is larger when it is stored: zstd keeps what it cannot compress as it is, in blocks. */
export function largestFrame(plain: number): number {
  return plain + Math.ceil(plain / 128) + 1024
}

/** The seek table of an object, which follows its last frame. */
export function formatSeekTable(frames: Iterable<FrameSizes> & { readonly length: number }): Buffer {
  const table = Buffer.alloc(seekTableSize(frames.length))
  table.writeUInt32LE(SKIPPABLE_MAGIC, 0)
  table.writeUInt32LE(table.length - HEADER, 4)
  let entry = HEADER
  for (const { stored, plain } of frames) {
    table.writeUInt32LE(stored, entry)
    table.writeUInt32LE(plain, entry + 4)
    entry += ENTRY
  }
  table.writeUInt32LE(frames.length, table.length - FOOTER)
  table.writeUInt8(0, table.length - 5)
  table.writeUInt32LE(SEEKABLE_MAGIC, table.length - 4)
  return table
}

/** What a seek table must agree with. */
export interface SeekTableOf {
  readonly key: string
  /** Stored bytes of the whole object. */
  readonly stored: number
  /** Plain bytes of the file. */
  readonly plain: number
  readonly frameSize: number
}

/**
 * Reads the seek table of an object, whatever `table` holds: what it says is safe to allocate and to read by. `table` is kept.
 * @throws CorruptBackup when it is none, or does not fit the object
 */
export function parseSeekTable(table: Buffer, of: SeekTableOf): FramePlaces {
  const count = (table.length - HEADER - FOOTER) / ENTRY
  if (!Number.isInteger(count) || count < 1 || count > MOST_FRAMES) throw corrupt(of, 'is cut short')
  const isTable =
    table.readUInt32LE(0) === SKIPPABLE_MAGIC &&
    table.readUInt32LE(4) === table.length - HEADER &&
    table.readUInt32LE(table.length - FOOTER) === count &&
    table.readUInt8(table.length - 5) === 0 &&
    table.readUInt32LE(table.length - 4) === SEEKABLE_MAGIC
  if (!isTable) throw corrupt(of, 'is none')
  let index = 0
  let storedEnd = 0
  let plainEnd = 0
  for (const { stored, plain, storedOffset, plainOffset } of placesIn(table, count)) {
    const expected = Math.min(of.frameSize, of.plain - plainOffset)
    if (plain !== expected) throw corrupt(of, `gives frame ${index} ${plain} plain bytes instead of ${expected}`)
    if (stored === 0 || stored > largestFrame(plain))
      throw corrupt(of, `gives frame ${index} ${stored} bytes for ${plain} plain ones`)
    index += 1
    storedEnd = storedOffset + stored
    plainEnd = plainOffset + plain
  }
  if (plainEnd !== of.plain) throw corrupt(of, `ends at ${plainEnd} of ${of.plain} plain bytes`)
  if (storedEnd + table.length !== of.stored) throw corrupt(of, `does not account for all ${of.stored} stored bytes`)
  return { length: count, [Symbol.iterator]: () => placesIn(table, count) }
}

function* placesIn(table: Buffer, count: number): Generator<FramePlace> {
  let storedOffset = 0
  let plainOffset = 0
  for (let index = 0; index < count; index++) {
    const stored = table.readUInt32LE(HEADER + ENTRY * index)
    const plain = table.readUInt32LE(HEADER + ENTRY * index + 4)
    yield { stored, plain, storedOffset, plainOffset }
    storedOffset += stored
    plainOffset += plain
  }
}

function corrupt({ key }: SeekTableOf, what: string): TabletkeeperError {
  return new TabletkeeperError('CorruptBackup', `the seek table of ${key} ${what}`)
}
