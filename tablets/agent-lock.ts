import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TabletAlias } from '../model/alias.ts'
import { giveToOwner } from '../mysql/data/private-folder.ts'
import { type FileLock, lockFile } from '../mysql/system/file-lock.ts'

const LOCK = 'agent.lock'

/** Who looks after the tablet of a private folder, or did so last. */
export interface LastAgent {
  readonly alias: string
  readonly pid: string
}

/** Where the lock of a private folder is. */
export function agentLockPath(folder: string): string {
  return join(folder, LOCK)
}

/**
 * Keeps every other process off the tablet of this private folder, which has to be there, until the lock is released or this process ends.
 * @returns undefined when another one has it: `lastAgent` tells which
 */
export async function lockAsAgent(folder: string, alias: TabletAlias): Promise<FileLock | undefined> {
  const path = agentLockPath(folder)
  await (await open(path, 'a', 0o600)).close()
  await giveToOwner(folder, path)
  const lock = await lockFile(path)
  if (lock !== undefined) await writeFile(path, `${alias} ${process.pid}\n`)
  return lock
}

/** Who looks after the tablet of this private folder, or did so last; undefined when nobody can tell. */
export async function lastAgent(folder: string): Promise<LastAgent | undefined> {
  const text = await readFile(agentLockPath(folder), 'utf8').catch(() => '')
  const [, alias, pid] = /^(\S+) (\d+)\n$/.exec(text) ?? []
  return alias === undefined || pid === undefined ? undefined : { alias, pid }
}
