import { crc32 } from '@node-rs/crc32'

/** The CRC-32 of what is sent, as S3 takes it: base64 of its four bytes, the highest first. */
export function crcOf(bytes: Uint8Array): string {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(crc32(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) >>> 0)
  return word.toString('base64')
}
