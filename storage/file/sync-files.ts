import { constants } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { syncFileSystem } from '../../mysql/system/file-system-sync.ts'
import { codeOf } from './errors.ts'

/** Files whose data is waited for at once: a disk joins such requests, a network mount is not waited for once each. */
const AT_ONCE = 32

/**
 * File systems of this host's own disks, by statfs(2), in which syncfs waits for all data and tells what was lost. Elsewhere it may do
 * neither: FUSE (sshfs, s3fs) does nothing, overlayfs keeps the errors of the one below for itself, network file systems differ.
 */
const SYNCED_AS_A_WHOLE: ReadonlySet<number> = new Set([
  0xef53, // ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x01021994, // tmpfs
])

/**
 * Makes the data of one directory's files durable, which `fileOf` names for `items`. Those that do not exist are passed over.
 * @throws errors of the file system
 */
export async function syncFiles<T>(directory: string, items: readonly T[], fileOf: (item: T) => string): Promise<void> {
  if (await syncedAsAWhole(directory)) return
  await syncEach(items, (item) =>
    syncFile(join(directory, fileOf(item))).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    }),
  )
}

/**
 * Writes out what was written so far below `directory`, or to `open` files where only those can be named. One that is closed meanwhile, and
 * so is no longer among them, is passed over: `syncFiles` has its turn. Errors as `syncFiles`.
 */
export async function writeOut(directory: string, open: ReadonlySet<FileHandle>): Promise<void> {
  if (await syncedAsAWhole(directory)) return
  await syncEach([...open], async (handle) => {
    if (open.has(handle)) await handle.datasync()
  })
}

/** The first failure at once, though others may hang for minutes: it is told once, and a ledger must not be trusted meanwhile. */
async function syncEach<T>(items: readonly T[], sync: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE) {
    await Promise.all(items.slice(at, at + AT_ONCE).map(sync))
  }
}

/**
 * Makes everything durable that was written to the file system of `directory`, where it can be trusted to tell what it has lost.
 * @returns whether it did: files have to be synced one by one otherwise
 * @throws errors of the file system
 */
export async function syncedAsAWhole(directory: string): Promise<boolean> {
  return (await isSyncedAsAWhole(directory)) && (await syncWhole(directory))
}

async function isSyncedAsAWhole(directory: string): Promise<boolean> {
  // Before 5.8 syncfs said nothing of data that could not be written.
  const [major = 0, minor = 0] = release().split('.').map(Number)
  if (major < 5 || (major === 5 && minor < 8)) return false
  return SYNCED_AS_A_WHOLE.has((await statfs(directory)).type)
}

/** @returns false where the call itself is missing or forbidden, as a container's filter may have it */
async function syncWhole(directory: string): Promise<boolean> {
  try {
    await syncFileSystem(directory)
    return true
  } catch (error) {
    if (['ENOSYS', 'EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error) ?? '')) return false
    throw error
  }
}

/** Makes one file durable. @throws errors of the file system */
export async function syncFile(path: string): Promise<void> {
  // For writing: SMB writes nothing back for a file that is open for reading.
  const handle = await open(path, constants.O_RDWR)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
