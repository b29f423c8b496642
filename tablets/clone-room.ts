import { statfs } from 'node:fs/promises'
import { TabletkeeperError } from '../model/errors.ts'
import { formatBytes } from '../model/units.ts'

/**
 * A clone takes no room when it is made, and then whatever mysqld changes of the files that it shares blocks with. mysqld goes first: it
 * must never find its file system full because of a backup.
 */
const LEAST_SHARE = 0.05
const LEAST_BYTES = 1024 ** 3
/** Of the data, which may well change while they are copied. */
const CHANGES = 0.05

/** Why there is no room for a clone, or undefined. */
export async function lackOfRoom(roots: readonly string[], dataBytes: number): Promise<string | undefined> {
  for (const root of roots) {
    const { free, least } = await roomIn(root)
    const needed = least + dataBytes * CHANGES
    if (free < needed)
      return `${root} has ${formatBytes(free)} free, and a clone needs ${formatBytes(needed)} for what changes`
  }
  return undefined
}

/** @returns StorageFull when a clone in `roots` has to go, so that the tablet's own file system does not run full */
export async function outOfRoom(roots: readonly string[]): Promise<TabletkeeperError | undefined> {
  for (const root of roots) {
    const { free, least } = await roomIn(root)
    if (free >= least) continue
    return new TabletkeeperError(
      'StorageFull',
      `${root} has only ${formatBytes(free)} left: the clone in it is given up`,
      { hint: "Free space on the tablet's own disk, or set backup.snapshot: none. The tablet serves." },
    )
  }
  return undefined
}

async function roomIn(root: string): Promise<{ readonly free: number; readonly least: number }> {
  const { bavail, blocks, bsize } = await statfs(root)
  return { free: bavail * bsize, least: Math.min(LEAST_BYTES, blocks * bsize * LEAST_SHARE) }
}
