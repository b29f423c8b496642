import { hash } from 'node:crypto'
import { crc32 } from '@node-rs/crc32'
import type { Checksums } from '../pool/tasks.ts'

/** Both checksums of stored bytes. */
export function checksumsOf(bytes: Uint8Array): Checksums {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { crc: crc32(buffer), sha: hash('sha256', buffer, 'buffer') }
}
