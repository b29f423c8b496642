import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const ABANDONED_AFTER = 3_600_000

/** Where programs and templates are kept between runs: `$XDG_CACHE_HOME/tabletkeeper`, else `~/.cache/tabletkeeper`. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tabletkeeper')
}

/**
 * The directory `name` in the cache, made by `build` when it is not there. It appears whole or not at all;
 * of two processes that build it at once, the first wins and the other uses it.
 */
export async function cached(name: string, build: (directory: string) => Promise<void>): Promise<string> {
  const place = join(cacheDirectory(), name)
  if (await exists(place)) return place
  await mkdir(cacheDirectory(), { recursive: true })
  await removeAbandoned(name)
  const draft = await mkdtemp(join(cacheDirectory(), `.${name}-`))
  try {
    await chmod(draft, 0o755)
    await build(draft)
    await rename(draft, place)
  } catch (error) {
    if (!(await exists(place))) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return place
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Drafts of processes that were killed while they built. */
async function removeAbandoned(name: string): Promise<void> {
  for (const entry of await readdir(cacheDirectory())) {
    if (!entry.startsWith(`.${name}-`)) continue
    const draft = join(cacheDirectory(), entry)
    const { mtimeMs } = await stat(draft).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > ABANDONED_AFTER) await rm(draft, { recursive: true, force: true })
  }
}
