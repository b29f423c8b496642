/**
 * Just enough of InnoDB's redo log, format 6 (MySQL 8.0.30 and later), to tell a clean stop from any other. Everything here takes buffers
 * that may be short or garbage, and never throws.
 */

/** What the first 2 KiB of a redo file tell. */
export interface RedoHeader {
  readonly format: number
  /** LSN of the first byte after the header. */
  readonly start: bigint
  /** The latest checkpoint that this file knows; 0 when none was written to it. */
  readonly checkpoint: bigint
}

/** The directory of redo files, in the log home. */
export const REDO_DIRECTORY = '#innodb_redo'

/** Names of redo files in use; those of spares end in `_tmp`. */
export const REDO_FILE = /^#ib_redo\d+$/

export const REDO_HEADER_BYTES = 2048
export const REDO_BLOCK_BYTES = 512

/** The redo format that the proof of a clean stop knows. */
export const KNOWN_REDO_FORMAT = 6

const FORMAT_AT = 0
const START_AT = 8
const CHECKPOINTS_AT = [520, 1544] as const
const BLOCK_LENGTH_AT = 4
// The highest bit of a block's length says that the block is encrypted.
const BLOCK_LENGTH_MASK = 0x7fff

/** Reads a redo file's header; undefined when there are too few bytes. */
export function parseRedoHeader(bytes: Buffer): RedoHeader | undefined {
  if (bytes.length < REDO_HEADER_BYTES) return undefined
  const checkpoints = CHECKPOINTS_AT.map((at) => bytes.readBigUInt64BE(at))
  return {
    format: bytes.readUInt32BE(FORMAT_AT),
    start: bytes.readBigUInt64BE(START_AT),
    checkpoint: checkpoints.toSorted((a, b) => Number(b - a))[0] ?? 0n,
  }
}

/** Where in the file with `header` the block lies that holds its checkpoint; undefined when it cannot be in this file. */
export function checkpointBlockOffset(header: RedoHeader): bigint | undefined {
  if (header.checkpoint < header.start) return undefined
  return (header.checkpoint - header.start + BigInt(REDO_HEADER_BYTES)) & ~BigInt(REDO_BLOCK_BYTES - 1)
}

/** How many bytes of a redo block are in use, its own header included; undefined when there are too few bytes. */
export function usedBytesOfBlock(bytes: Buffer): number | undefined {
  return bytes.length < REDO_BLOCK_BYTES ? undefined : bytes.readUInt16BE(BLOCK_LENGTH_AT) & BLOCK_LENGTH_MASK
}
