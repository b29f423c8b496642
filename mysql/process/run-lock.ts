import { appendFile, readdir, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { privateFolder, privateFolderPath } from '../data/private-folder.ts'
import { type FileLock, lockFile, lockHolder } from '../system/file-lock.ts'
import { orMissing } from '../system/system-error.ts'

/*
 * A mysqld lets go of the lock on its system tablespace for a moment while it starts (150 ms seen on 9.7), and has none before. Two that start
 * at once can both get past it; one of them then crashes on files that the other one changes. So a mysqld that the agent starts inherits
 * an open, locked file from it, and holds that lock from before its first instruction until its end, whatever becomes of the agent.
 */

/** Takes the lock that is handed to the mysqld to be started on `datadir`; undefined while one that was started so is there. */
export async function takeRunLock(datadir: string): Promise<FileLock | undefined> {
  await privateFolder(datadir)
  await appendFile(runLockPath(datadir), '', { mode: 0o600 })
  return await lockFile(runLockPath(datadir))
}

/** Whether a mysqld that was started with the lock is still there. */
export async function isRunLockHeld(datadir: string): Promise<boolean> {
  return (await orMissing(lockHolder(runLockPath(datadir)))) !== undefined
}

/** Whether a running process has the lock's file open, as the mysqld has that was started with it; true where that cannot be seen. */
export async function inheritsRunLock(pid: number, datadir: string): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  const descriptors = await readdir(folder).catch(() => undefined)
  if (descriptors === undefined) return true
  const wanted = await realpath(runLockPath(datadir))
  const targets = await Promise.all(descriptors.map((fd) => readlink(join(folder, fd)).catch(() => undefined)))
  return targets.includes(wanted)
}

function runLockPath(datadir: string): string {
  return join(privateFolderPath(datadir), 'mysqld.lock')
}
