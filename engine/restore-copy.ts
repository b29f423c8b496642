import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Manifest } from '../model/manifest.ts'
import type { Progress } from '../model/runs.ts'
import { syncDirectory } from '../storage/durable-file.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { storedSizes } from './check.ts'
import { decompressionOf } from './decompressors.ts'
import { inParallel } from './in-parallel.ts'
import { localFileError } from './local-file-error.ts'
import { ProgressMeter } from './progress-meter.ts'
import { restoreFile } from './restore-file.ts'
import { planRestore, type StagingRoots } from './restore-plan.ts'

const DIRECTORY_MODE = 0o750

export interface RestoreCopy {
  readonly manifest: Manifest
  readonly store: ObjectStore
  /** What the keys of the backup start with (`backupDirectory`). */
  readonly directory: string
  readonly roots: StagingRoots
  /** Files at once. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/**
 * Writes all files of a backup below the staging roots, the largest first, every one checked and all of them durable. Files that an
 * attempt that died has left are overwritten. Where the MANIFEST knows no plain sizes, progress counts stored bytes.
 * @returns the plain bytes written
 * @throws IncompatibleVersion (`decompressionOf`), or the first failure (`planRestore`, `restoreFile`) after everything has stopped
 */
export async function restoreFiles(copy: RestoreCopy): Promise<{ readonly bytes: number }> {
  const { manifest, store, directory, roots, concurrency, signal, onProgress } = copy
  const decompression = decompressionOf(manifest)
  const files = planRestore(manifest, directory, roots, await storedSizes(store, directory))
  const sizes = files.map((file) => file.plainSize ?? file.storedSize)
  const directories = directoriesOf(
    files.map(({ path }) => path),
    Object.values(roots),
  )
  for (const path of directories) await local(path, mkdir(path, { recursive: true, mode: DIRECTORY_MODE }))

  using meter = new ProgressMeter(sizes, onProgress)
  let bytes = 0
  const largestFirst = files.toSorted((a, b) => b.storedSize - a.storedSize)
  await inParallel(largestFirst, concurrency, signal, async (file, stop) => {
    const written = await restoreFile({
      file,
      store,
      decompression,
      signal: stop,
      seen: (seen) => meter.addBytes(seen),
    })
    bytes += written
    meter.addFile()
  })
  for (const path of new Set([...directories, ...Object.values(roots).map(dirname)]))
    await local(path, syncDirectory(path))
  return { bytes }
}

/** The roots and all directories between them and the files. */
function directoriesOf(files: readonly string[], roots: readonly string[]): ReadonlySet<string> {
  const directories = new Set(roots.map((root) => resolve(root)))
  for (const file of files) {
    for (let path = dirname(file); !directories.has(path); path = dirname(path)) directories.add(path)
  }
  return directories
}

async function local(path: string, action: Promise<unknown>): Promise<void> {
  try {
    await action
  } catch (error) {
    throw localFileError(error, 'write', path)
  }
}
