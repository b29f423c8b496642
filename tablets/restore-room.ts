import { statfs } from 'node:fs/promises'
import type { Manifest } from '../model/manifest.ts'

/** Room beyond the data themselves: redo logs, undo and whatever replication writes while it catches up. */
const SPARE_BYTES = 64 * 1024 * 1024

/** Plain bytes of a backup's files; of one that Vitess made, which does not record them, zero. */
export function dataBytesOf(manifest: Manifest): number {
  return manifest.Tabletkeeper?.Files.reduce((sum, file) => sum + file.Size, 0) ?? 0
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
