import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '../model/manifest.ts'
import { orMissing } from '../mysql/system/system-error.ts'

/** Room beyond the data themselves: redo logs, undo and whatever replication writes while it catches up. */
const SPARE_BYTES = 64 * 1024 * 1024

/** Plain bytes of a backup's files; of one that Vitess made, which does not record them, zero. */
export function dataBytesOf(manifest: Manifest): number {
  return manifest.Tabletkeeper?.Files.reduce((sum, file) => sum + file.Size, 0) ?? 0
}

/** What `lstat` counts in, whatever the file system's own blocks are. */
const BLOCK_BYTES = 512

/** Bytes of disk that the files below a folder take already; none where it is not there. */
export async function occupiedBytes(folder: string): Promise<number> {
  const entries = (await orMissing(readdir(folder, { recursive: true, withFileTypes: true }))) ?? []
  let blocks = 0
  for (const entry of entries) if (entry.isFile()) blocks += (await lstat(join(entry.parentPath, entry.name))).blocks
  return blocks * BLOCK_BYTES
}

/** Whether a data directory's file system has room for so many bytes more; `free` are those that it has. */
export async function roomFor(
  dataBytes: number,
  datadir: string,
): Promise<{ readonly suffices: boolean; readonly free: number }> {
  const { bavail, bsize } = await statfs(datadir)
  const free = bavail * bsize
  return { suffices: free >= dataBytes + SPARE_BYTES, free }
}
