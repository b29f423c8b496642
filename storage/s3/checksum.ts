import { crc32 } from '@node-rs/crc32'

/** Small enough to be in the processor's cache when it is looked at a second time. */
const SLICE = 128 * 1024

/** A CRC-32 as S3 takes it: base64 of its four bytes, the highest first. */
export function encodedCrc(crc: number): string {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(crc >>> 0)
  return word.toString('base64')
}

/**
 * Copies all of `from` into `to`, and calculates its CRC-32 on the way: memory is read once.
 * @param at where in `to`, in bytes
 * @returns the CRC-32 of `from`
 */
export function copyWithCrc(from: Uint8Array, to: Buffer, at: number): number {
  const source = Buffer.from(from.buffer, from.byteOffset, from.byteLength)
  let result = 0
  for (let start = 0; start < source.length; start += SLICE) {
    const slice = source.subarray(start, start + SLICE)
    result = crc32(slice, result)
    slice.copy(to, at + start)
  }
  return result
}
