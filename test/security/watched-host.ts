import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** What anybody on this host could have seen while something ran. */
export interface WatchedHost extends AsyncDisposable {
  /** Command lines of all processes. */
  readonly commandLines: ReadonlySet<string>
  /** Names of files and folders in the watched folder, and the modes that they were seen with. */
  readonly modes: ReadonlyMap<string, ReadonlySet<number>>
}

const LOOK_EVERY = 10

/** Looks at all processes, and into a folder that comes and goes, until it is disposed of. */
export function watchHost(folder: string): WatchedHost {
  const commandLines = new Set<string>()
  const modes = new Map<string, Set<number>>()
  const known = new Set<string>()
  let isOver = false

  const lookAtProcesses = async () => {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && !known.has(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      // Between fork and exec it has the line of its parent; a process may also rewrite its own.
      if (commandLines.has(line)) known.add(pid)
      commandLines.add(line)
    }
  }
  const lookAtFiles = async () => {
    for (const name of ['.', ...(await readdir(folder).catch(() => []))]) {
      const mode = await lstat(join(folder, name)).catch(() => undefined)
      if (mode !== undefined) modes.set(name, (modes.get(name) ?? new Set()).add(mode.mode))
    }
  }
  const repeat = async (look: () => Promise<void>) => {
    while (!isOver) {
      await look()
      await delay(LOOK_EVERY)
    }
  }
  const watching = Promise.all([repeat(lookAtProcesses), repeat(lookAtFiles)])
  return {
    commandLines,
    modes,
    [Symbol.asyncDispose]: async () => {
      isOver = true
      await watching
    },
  }
}
