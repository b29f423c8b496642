import { stat } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import { syncDirectory } from '../../storage/file/durable-file.ts'
import { syncedAsAWhole, syncFile } from '../../storage/file/sync-files.ts'
import { localFileError } from '../local-file-error.ts'
import { inParallel } from '../pool/in-parallel.ts'
import type { StagingRoots } from './restore-plan.ts'

/** Files that are synced one by one at once: a disk joins such requests. */
const AT_ONCE = 32

/** The files of one restore on their way to the disk. */
export class RestoredFiles {
  readonly #roots: readonly string[]
  readonly #paths: readonly string[]
  #unsynced = new Set<string>()

  /** @param paths of all files, below the roots */
  constructor(roots: StagingRoots, paths: readonly string[]) {
    this.#roots = [...new Set(Object.values(roots).map((root) => resolve(root)))]
    this.#paths = paths
  }

  /** The roots, and all directories between them and the files; each after the one that it is in. */
  get directories(): readonly string[] {
    const directories = new Set(this.#roots)
    for (const path of this.#paths) {
      const missing: string[] = []
      for (let at = dirname(path); !directories.has(at); at = dirname(at)) missing.push(at)
      for (const directory of missing.reverse()) directories.add(directory)
    }
    return [...directories]
  }

  /** Told of files after something was written to them. */
  wrote(...paths: readonly string[]): void {
    for (const path of paths) this.#unsynced.add(path)
  }

  /** Makes durable what was written by now. @throws Refused or StorageFull when the host's disk could not keep it */
  async writeOut(): Promise<void> {
    const written = this.#unsynced
    this.#unsynced = new Set()
    const apart = await this.#syncWhole()
    await syncEach([...written].filter(apart), syncFile)
  }

  /** Makes all files durable, those too that an earlier attempt has written, and their places. Throws as `writeOut` does. */
  async sync(): Promise<void> {
    const apart = await this.#syncWhole()
    await syncEach(this.#paths.filter(apart), syncFile)
    await syncEach(this.directories.filter(apart), syncDirectory)
  }

  /**
   * Syncs each file system as a whole where that can be trusted.
   * @returns which paths are on one where it cannot
   */
  async #syncWhole(): Promise<(path: string) => boolean> {
    const synced = new Map<number, boolean>()
    const apart: string[] = []
    for (const root of this.#roots) {
      await local(root, async () => {
        const { dev } = await stat(root)
        const isSynced = synced.get(dev) ?? (await syncedAsAWhole(root))
        synced.set(dev, isSynced)
        if (!isSynced) apart.push(root)
      })
    }
    return (path) => apart.some((root) => path === root || path.startsWith(root + sep))
  }
}

async function syncEach(paths: readonly string[], sync: (path: string) => Promise<void>): Promise<void> {
  // Whoever stops the restore waits for it: only a disk is asked.
  const { signal } = new AbortController()
  await inParallel(paths, AT_ONCE, signal, (path) => local(path, () => sync(path)))
}

async function local<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw localFileError(error, 'write', path)
  }
}
