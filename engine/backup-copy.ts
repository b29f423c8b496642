import type { Progress } from '../model/runs.ts'
import type { DataFile } from '../mysql/data-directory.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { CopiedFile } from './copied-file.ts'
import { copyFile } from './copy-file.ts'
import { inParallel } from './in-parallel.ts'
import { ProgressMeter } from './progress-meter.ts'

export interface BackupCopy {
  /** Of a server that was cleanly stopped and stays so. */
  readonly files: readonly DataFile[]
  readonly store: ObjectStore
  /** What the keys of this backup start with (`backupDirectory`): an object's name is the index of its file. */
  readonly directory: string
  /** Of zstd. */
  readonly level: number
  /** Files at once. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/**
 * Copies files to storage, compressed, the largest first. Memory depends on `concurrency`, not on sizes. What an attempt that died
 * has left unfinished is removed before.
 * @returns what was stored, in the order of `files`
 * @throws the first failure (`copyFile`) or the signal's reason, after everything has stopped
 */
export async function copyBackup({
  files,
  store,
  directory,
  level,
  concurrency,
  signal,
  onProgress,
}: BackupCopy): Promise<CopiedFile[]> {
  using meter = new ProgressMeter(
    files.map(({ size }) => size),
    onProgress,
  )
  if ((await store.repository()).state === 'ready') await store.abortUploads(directory)
  const copied: CopiedFile[] = []
  const largestFirst = files.map((file, index) => ({ file, index })).sort((a, b) => b.file.size - a.file.size)
  await inParallel(largestFirst, concurrency, signal, async ({ file, index }, stop) => {
    copied[index] = await copyFile({
      file,
      key: `${directory}${index}`,
      store,
      level,
      signal: stop,
      seen: (bytes) => meter.addBytes(bytes),
    })
    meter.addFile()
  })
  return copied
}
