import { chmod, mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type FileLock, lockFile } from '../mysql/system/file-lock.ts'
import { orMissing } from '../mysql/system/system-error.ts'

const LOOK_AGAIN_AFTER = 200

/** Where programs and templates are kept between runs: `$XDG_CACHE_HOME/tabletkeeper`, else `~/.cache/tabletkeeper`. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tabletkeeper')
}

/**
 * The directory `name` in the cache, made by `build` when it is not there. It appears whole or not at all;
 * of two processes that want it at once, the first builds it, and the other waits and uses it.
 */
export async function cached(name: string, build: (directory: string) => Promise<void>): Promise<string> {
  const place = join(cacheDirectory(), name)
  if (await exists(place)) return place
  await mkdir(cacheDirectory(), { recursive: true })
  const lockPath = join(cacheDirectory(), `.${name}.lock`)
  await using _ = await takeTurn(lockPath)
  try {
    if (!(await exists(place))) await make(name, place, build)
  } finally {
    await rm(lockPath, { force: true })
  }
  return place
}

async function make(name: string, place: string, build: (directory: string) => Promise<void>): Promise<void> {
  await removeAbandoned(name)
  const draft = await mkdtemp(join(cacheDirectory(), draftPrefix(name)))
  try {
    await chmod(draft, 0o755)
    await build(draft)
    await rename(draft, place)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** The lock ends with its process, however that ends. Whoever holds it removes its file, so that nothing but what was made is left. */
async function takeTurn(path: string): Promise<FileLock> {
  for (;;) {
    await (await open(path, 'a')).close()
    const lock = await orMissing(lockFile(path))
    if (lock !== undefined) {
      if (await isOf(lock, path)) return lock
      await lock.release()
    }
    await delay(LOOK_AGAIN_AFTER)
  }
}

/** Whether a lock is one of the file that is there now: the holder before may have removed the one that we had opened. */
async function isOf({ descriptor }: FileLock, path: string): Promise<boolean> {
  const [held, there] = await Promise.all([stat(`/proc/self/fd/${descriptor}`), stat(path).catch(() => undefined)])
  return held.ino === there?.ino
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function draftPrefix(name: string): string {
  return `.${name}.draft-`
}

/** Drafts of processes that were killed while they built: who holds the lock is the only one that builds. */
async function removeAbandoned(name: string): Promise<void> {
  for (const entry of await readdir(cacheDirectory())) {
    if (entry.startsWith(draftPrefix(name))) await rm(join(cacheDirectory(), entry), { recursive: true, force: true })
  }
}
