import { createHash } from 'node:crypto'
import { crc32, zstdDecompressSync } from 'node:zlib'

/** An object as its bytes tell, by a reader that knows the two formats (RFC 8878, zstd's seekable format) and nothing of the engine. */
export interface StoredObject {
  readonly frames: readonly { readonly stored: Buffer; readonly plain: Buffer }[]
  readonly table: Buffer
  /** As the MANIFEST has them. */
  readonly crc: string
  readonly segmentHash: string
}

const FOOTER = 9
const SKIPPABLE_HEADER = 8
const ENTRY = 8
const HAS_CHECKSUM = 0x04

/** Reads an object from its seek table. @throws when it is not made as docs say */
export function readStoredObject(bytes: Buffer): StoredObject {
  const footer = bytes.subarray(-FOOTER)
  if (footer.readUInt32LE(5) !== 0x8f92eab1 || footer.readUInt8(4) !== 0) throw new Error('it ends in no seek table')
  const count = footer.readUInt32LE(0)
  const table = bytes.subarray(bytes.length - FOOTER - ENTRY * count - SKIPPABLE_HEADER)
  if (table.readUInt32LE(0) !== 0x184d2a5e || table.readUInt32LE(4) !== table.length - SKIPPABLE_HEADER)
    throw new Error('its seek table is no skippable frame')
  let at = 0
  const frames = Array.from({ length: count }, (_, index) => {
    const [size, plainSize] = [0, 4].map((field) => table.readUInt32LE(SKIPPABLE_HEADER + ENTRY * index + field))
    const stored = bytes.subarray(at, at + (size ?? 0))
    at += stored.length
    if ((stored.readUInt8(4) & HAS_CHECKSUM) === 0) throw new Error(`frame ${index} has no checksum`)
    const plain = zstdDecompressSync(stored)
    if (plain.length !== plainSize) throw new Error(`frame ${index} has ${plain.length} bytes, not ${plainSize}`)
    return { stored, plain }
  })
  if (at + table.length !== bytes.length) throw new Error(`its frames end at ${at}, not where the seek table begins`)
  const segments = [...frames.map(({ stored }) => stored), table].map((part) =>
    createHash('sha256').update(part).digest(),
  )
  return {
    frames,
    table,
    crc: crc32(bytes).toString(16).padStart(8, '0'),
    segmentHash: createHash('sha256').update(Buffer.concat(segments)).digest('hex'),
  }
}
