import { crc32c } from '@node-rs/crc32'

/** Offsets in the header of a page (storage/innobase/include/fil0types.h). */
export const PAGE = { number: 4, prev: 8, lsn: 16, type: 24, flushLsn: 26, space: 34, data: 38 } as const
/** A page ends in a checksum and the low half of its LSN; one of a compressed table does not. */
export const TRAILER = 8
/** What `innodb_checksum_algorithm=none` writes in place of a checksum. */
const NO_CHECKSUM = 0xdeadbeef

const CRC32C = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/**
 * Whether a page bears the checksum that MySQL 5.7 and later write, `crc32`: where it does, which is nearly always, nothing else is looked at.
 * What it does not cover: bytes 26 to 37, the flush LSN and the tablespace's number; in compressed tables the LSN too, but not that number.
 */
export function hasCrc(bytes: Buffer, at: number, size: number, isCompressed: boolean): boolean {
  if (!isCompressed && !endsAsItBegins(bytes, at, size)) return false
  return bytes.readInt32BE(at) === crcOf(bytes, at, size, isCompressed)
}

/**
 * Whether a page without `crc32` bears another checksum that mysqld takes (BlockReporter::is_corrupted and verify_zip_checksum in
 * storage/innobase/buf/checksum.cc, not strict): `innodb`, which 5.6 and older wrote; or `crc32` as 5.6 computed it on big-endian machines.
 */
export function hasOldChecksum(page: Buffer, isCompressed: boolean): boolean {
  if (isCompressed) return page.readUInt32BE(0) === adler32(page) || page.readInt32BE(0) === bigEndianCrcOf(page, true)
  return hasFold(page) || (endsAsItBegins(page, 0, page.length) && page.readInt32BE(0) === bigEndianCrcOf(page, false))
}

/** Whether a page was written with `innodb_checksum_algorithm=none`: nothing in it can be checked but its LSN. */
export function isUnchecked(page: Buffer, isCompressed: boolean): boolean {
  return page.readUInt32BE(0) === NO_CHECKSUM && (isCompressed || endsAsItBegins(page, 0, page.length))
}

/** The trailer repeats the checksum and the low half of the LSN. */
function endsAsItBegins(bytes: Buffer, at: number, size: number): boolean {
  const end = at + size - TRAILER
  return (
    bytes.readInt32BE(at) === bytes.readInt32BE(end) &&
    bytes.readInt32BE(at + PAGE.lsn + 4) === bytes.readInt32BE(end + 4)
  )
}

function crcOf(bytes: Buffer, at: number, size: number, isCompressed: boolean): number {
  if (!isCompressed) {
    const header = crcOfFew(bytes, at + PAGE.number, at + PAGE.flushLsn)
    return header ^ crc32c(bytes.subarray(at + PAGE.data, at + size - TRAILER))
  }
  const header = crcOfFew(bytes, at + PAGE.number, at + PAGE.lsn) ^ crcOfFew(bytes, at + PAGE.type, at + PAGE.flushLsn)
  return header ^ crc32c(bytes.subarray(at + PAGE.space, at + size))
}

/** Those machines took whole words the other way round. */
function bigEndianCrcOf(page: Buffer, isCompressed: boolean): number {
  const swapped = Buffer.from(page)
  swapped.subarray(PAGE.prev, isCompressed ? PAGE.lsn : PAGE.type).swap64()
  swapped.subarray(40, isCompressed ? page.length : page.length - TRAILER).swap64()
  return crcOf(swapped, 0, page.length, isCompressed)
}

/** The native function costs more than this for a handful of bytes. */
function crcOfFew(bytes: Buffer, from: number, to: number): number {
  let crc = -1
  for (let at = from; at < to; at++) crc = (crc >>> 8) ^ (CRC32C[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0)
  return ~crc
}

/** Two checksums: at the page's end one over its first bytes, in front one over all that is not in the trailer. */
function hasFold(page: Buffer): boolean {
  const end = page.length - TRAILER
  if (page.readInt32BE(PAGE.lsn + 4) !== page.readInt32BE(end + 4)) return false
  const first = page.readInt32BE(0)
  const last = page.readInt32BE(end)
  // Before 4.0.14 a page began with a zero and ended with the LSN.
  if (last !== page.readInt32BE(PAGE.lsn) && last !== fold(page, 0, PAGE.flushLsn)) return false
  return first === 0 || first === ((fold(page, PAGE.number, PAGE.flushLsn) + fold(page, PAGE.data, end)) | 0)
}

/** ut_fold_binary of storage/innobase/include/ut0rnd.ic, whose low 32 bits count. */
function fold(bytes: Buffer, from: number, to: number): number {
  let sum = 0
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0
    sum = ((((((sum ^ byte ^ 1653893711) << 8) + sum) | 0) ^ 1463735687) + byte) | 0
  }
  return sum
}

/** `innodb` of compressed tables: Adler-32 from zero, over what `crc32` covers there. */
function adler32(page: Buffer): number {
  let low = 0
  let high = 0
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at++) {
      low = (low + (page[at] ?? 0)) % 65521
      high = (high + low) % 65521
    }
  }
  add(PAGE.number, PAGE.lsn)
  add(PAGE.type, PAGE.flushLsn)
  add(PAGE.space, page.length)
  return high * 65536 + low
}
