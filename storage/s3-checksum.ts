import { crc32 } from '@node-rs/crc32'

/** Small enough to be in the processor's cache when it is looked at a second time. */
const SLICE = 128 * 1024

/** The CRC-32 of what is sent, as S3 takes it: base64 of its four bytes, the highest first. */
export function crcOf(bytes: Buffer): string {
  return encodedCrc(crc32(bytes))
}

/** A CRC-32 as S3 takes it. */
export function encodedCrc(crc: number): string {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(crc >>> 0)
  return word.toString('base64')
}

/**
 * Copies all of `from` into `to`, and calculates its CRC-32 on the way: memory is read once.
 * @param crc of what is before it
 * @returns the CRC-32 of both
 */
export function copyWithCrc(from: Uint8Array, to: Buffer, at: number, crc: number): number {
  const source = Buffer.from(from.buffer, from.byteOffset, from.byteLength)
  let result = crc
  for (let start = 0; start < source.length; start += SLICE) {
    const slice = source.subarray(start, start + SLICE)
    result = crc32(slice, result)
    slice.copy(to, at + start)
  }
  return result
}
