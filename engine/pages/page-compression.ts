import { inflateSync } from 'node:zlib'
import { decodeLz4Block } from '../frames/lz4-block.ts'
import { PAGE } from './page-checksum.ts'

/** FIL_PAGE_COMPRESSED. */
export const PAGE_COMPRESSED = 14

const LARGEST_PAGE = 65_536
const scratch = Buffer.allocUnsafeSlow(LARGEST_PAGE)

/**
 * A page of a table with `COMPRESSION='zlib'` or `'lz4'` as it was before it was compressed, checksum and all (os_file_compress_page in
 * storage/innobase/os/os0file.cc); undefined when it cannot be decompressed. It is valid until the next call.
 */
export function decompressedPage(page: Buffer): Buffer | undefined {
  // In the place of the flush LSN.
  const [version, algorithm] = [page[26], page[27]]
  const originalType = page.readUInt16BE(28)
  const originalSize = page.readUInt16BE(30)
  const end = PAGE.data + page.readUInt16BE(32)
  if ((version !== 1 && version !== 2) || originalSize !== page.length - PAGE.data || end > page.length)
    return undefined
  const original = scratch.subarray(0, page.length)
  page.copy(original, 0, 0, PAGE.data)
  original.writeUInt16BE(originalType, PAGE.type)
  try {
    const ends = decompress(algorithm, page.subarray(PAGE.data, end), original)
    return ends === page.length ? original : undefined
  } catch {
    return undefined
  }
}

/** Returns where the decompressed bytes end in `original`. */
function decompress(algorithm: number | undefined, data: Buffer, original: Buffer): number {
  if (algorithm === 2) return decodeLz4Block(data, original, PAGE.data)
  if (algorithm !== 1) throw new Error(`no page compression has the number ${algorithm}`)
  const size = original.length - PAGE.data
  // A chunk that holds all saves rounds in which the output grows.
  const inflated = inflateSync(data, { chunkSize: size + 64, maxOutputLength: size })
  return PAGE.data + inflated.copy(original, PAGE.data)
}
