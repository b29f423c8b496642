import { constants } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { binding } from './libc.ts'

/** File systems of this host's own disks on which writing past the page cache is known to be faster, by statfs(2). */
const WRITTEN_DIRECTLY: ReadonlySet<number> = new Set([
  0xef53, // ext4
  0x58465342, // XFS
])

/** The largest sector that disks have. */
const SECTOR = 4096

/** Of open(2): reads and writes of the file go past the page cache. */
export const { O_DIRECT } = constants

const calls = binding(({ koffi }) => ({ addressOf: (buffer: Buffer): bigint => koffi.address(buffer) }))

/**
 * What positions, lengths and memory of writes must be multiples of, in bytes, so that files of a directory can be written past the page
 * cache; undefined where they had better not be. On this host's own disks it takes a fifth of the processor's time, leaves the tablet's
 * pages in the cache, and there is nothing left to wait for at the end. Over a network each write would wait for the server instead.
 * @throws errors of the file system
 */
export async function directBlockOf(directory: string): Promise<number | undefined> {
  const { type, bsize } = await statfs(directory)
  return WRITTEN_DIRECTLY.has(type) ? Math.max(bsize, SECTOR) : undefined
}

/**
 * Memory that begins at a multiple of `alignment` bytes, as files that are opened with O_DIRECT want it.
 * @throws InvalidConfig on other systems than Linux
 */
export function alignedBuffer(size: number, alignment: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(size + alignment)
  const over = Number(calls().addressOf(buffer) % BigInt(alignment))
  return buffer.subarray(alignment - over, alignment - over + size)
}
