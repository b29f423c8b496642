import { mkdir } from 'node:fs/promises'
import type { Manifest } from '../../model/manifest.ts'
import type { Progress } from '../../model/runs.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { batchesOf } from '../backup/batches.ts'
import { storedSizes } from '../backup/check.ts'
import { CopyAbort } from '../backup/copy-abort.ts'
import type { FramedObject } from '../backup/framed-object.ts'
import { WriteBehind } from '../backup/write-behind.ts'
import { decompressionOf } from '../frames/decompressors.ts'
import { FRAME_SIZE } from '../frames/frame.ts'
import { RestoreLedger } from '../ledger/restore-ledger.ts'
import { localFileError } from '../local-file-error.ts'
import { FramesInFlight } from '../pool/frames-in-flight.ts'
import { heapForCopyOf } from '../pool/heap-size.ts'
import { inParallel } from '../pool/in-parallel.ts'
import { WorkerPool } from '../pool/worker-pool.ts'
import { ProgressMeter } from '../progress-meter.ts'
import { restoreFile } from './restore-file.ts'
import { restoreLargeFile, restoreSmallFiles } from './restore-frames.ts'
import { type FileRestore, planRestore, type StagingRoots } from './restore-plan.ts'
import { RestoredFiles } from './restored-files.ts'

const DIRECTORY_MODE = 0o750

export interface RestoreCopy {
  readonly manifest: Manifest
  readonly store: ObjectStore
  /** What the keys of the backup start with (`backupDirectory`). */
  readonly directory: string
  /** Of this run alone. */
  readonly roots: StagingRoots
  /** Path of the ledger. */
  readonly ledger: string
  /** Threads that decompress. */
  readonly concurrency: number
  readonly signal: AbortSignal
  /** As `ProgressMeter` tells it. */
  readonly onProgress: (progress: Progress, isSettling: boolean) => void
}

/** A file that is restored by frames. */
export type FramedFile = FileRestore & { readonly framed: FramedObject }

/** What all parts of one restore work with. */
export interface RestoreContext {
  readonly store: ObjectStore
  readonly pool: WorkerPool
  readonly ledger: RestoreLedger
  readonly inFlight: FramesInFlight
  readonly abort: CopyAbort
  readonly restored: RestoredFiles
  readonly behind: WriteBehind
  readonly meter: ProgressMeter
}

/**
 * Writes all files of a backup below the staging roots, the largest first, every one checked and all of them durable. What an attempt
 * that died has written is not read again; what it left unfinished is overwritten. Where the MANIFEST knows no plain sizes, progress
 * counts stored bytes.
 * @returns the plain bytes of the files; where plain sizes are not known, those that this attempt has written
 * @throws IncompatibleVersion (`decompressionOf`), CorruptBackup naming the object, or the first other failure. Nothing runs any more then.
 */
export async function restoreFiles(copy: RestoreCopy): Promise<{ readonly bytes: number }> {
  const { manifest, store, directory, roots, signal } = copy
  using _ = heapForCopyOf(manifest.FileEntries.length)
  const decompression = decompressionOf(manifest)
  const sizes = await storedSizes(store, directory, manifest.FileEntries.length, signal)
  const files = planRestore(manifest, directory, roots, sizes)
  // A store that hung: another attempt may have gone on with the ledger since.
  signal.throwIfAborted()
  await using ledger = await RestoreLedger.open(copy.ledger, manifest)
  const framed = files.filter((file): file is FramedFile => file.framed !== undefined)
  let bytes = framed.reduce((sum, file) => sum + file.framed.plain, 0)
  if (ledger.isFinished) return { bytes }
  const restored = new RestoredFiles(
    roots,
    files.map(({ path }) => path),
  )
  await makeDirectories(restored.directories)
  using meter = new ProgressMeter(
    files.map((file) => file.framed?.plain ?? file.storedSize),
    copy.onProgress,
  )
  if (framed.length > 0) await restoreFramed(copy, framed, { ledger, restored, meter })
  const streams = files.filter((file) => file.framed === undefined && !ledger.has(file.index))
  await inParallel(bySize(streams), copy.concurrency, copy.signal, async (file, signal) => {
    const written = await restoreFile(file, { store, decompression, signal, seen: (seen) => meter.addBytes(seen) })
    bytes += written
    ledger.addFiles(file.index)
    meter.addFile()
  })
  await ledger.syncing(() => meter.settling(() => restored.sync()))
  await ledger.finish()
  return { bytes }
}

async function restoreFramed(
  { store, concurrency, signal }: RestoreCopy,
  files: readonly FramedFile[],
  { ledger, restored, meter }: Pick<RestoreContext, 'ledger' | 'restored' | 'meter'>,
): Promise<void> {
  await using pool = new WorkerPool({ size: concurrency + 1, storage: store.description })
  const abort = new CopyAbort(signal, pool)
  const inFlight = new FramesInFlight(2 * concurrency + 2)
  const behind = new WriteBehind(() => ledger.syncing(() => restored.writeOut()))
  const context: RestoreContext = { store, pool, ledger, inFlight, abort, restored, behind, meter }
  for (const { index, framed } of files) if (ledger.has(index)) meter.skipFile(framed.plain)
  const missing = bySize(files.filter(({ index }) => !ledger.has(index)))
  abort.start(restoreAll(context, missing))
  try {
    await abort.settle()
  } finally {
    // Whatever else failed: a failure of this one voids the ledger.
    await behind.settle()
  }
}

async function restoreAll(context: RestoreContext, files: readonly FramedFile[]): Promise<void> {
  const { abort, inFlight } = context
  // Another version may have made larger frames of what is one frame here.
  const isSmall = ({ framed }: FramedFile): boolean => framed.plain <= Math.min(framed.frameSize, FRAME_SIZE)
  for (const file of files) {
    if (abort.aborted) return
    if (!isSmall(file)) await restoreLargeFile(context, file)
  }
  for (const batch of batchesOf(files.filter(isSmall), ({ framed }) => framed.plain)) {
    await inFlight.enter()
    if (abort.aborted) {
      inFlight.leave()
      return
    }
    abort.start(restoreSmallFiles(context, batch).finally(() => inFlight.leave()))
  }
}

function bySize<File extends FileRestore>(files: readonly File[]): File[] {
  return files.toSorted((a, b) => b.storedSize - a.storedSize)
}

async function makeDirectories(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    try {
      await mkdir(path, { recursive: true, mode: DIRECTORY_MODE })
    } catch (error) {
      throw localFileError(error, 'write', path)
    }
  }
}
