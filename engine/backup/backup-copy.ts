import { TabletkeeperError } from '../../model/errors.ts'
import type { Progress } from '../../model/runs.ts'
import { checkUnchanged, type DataFile } from '../../mysql/data/data-directory.ts'
import type { ObjectStore, Upload } from '../../storage/object-store.ts'
import { compressorOf, FRAME_SIZE } from '../frames/frame.ts'
import { type CopyBinding, type CopyHeader, CopyLedger, type CopyTotals, fingerprintOf } from '../ledger/copy-ledger.ts'
import { bootId } from '../ledger/ledger-file.ts'
import { FramesInFlight } from '../pool/frames-in-flight.ts'
import { heapForCopyOf } from '../pool/heap-size.ts'
import { WorkerPool } from '../pool/worker-pool.ts'
import { ProgressMeter } from '../progress-meter.ts'
import { batchesOf } from './batches.ts'
import { CopyAbort } from './copy-abort.ts'
import { copyLargeFile } from './copy-large-file.ts'
import { copySmallFiles } from './copy-small-files.ts'
import { RateLimit } from './rate-limit.ts'
import { WriteBehind } from './write-behind.ts'

export interface BackupCopy {
  /** Of a server that was cleanly stopped and stays so, or of a clone of one. */
  readonly files: readonly DataFile[]
  readonly store: ObjectStore
  /** What the keys of this backup start with (`backupDirectory`): an object's name is the index of its file. */
  readonly directory: string
  /** Path of the ledger, and what it shall say of the run. */
  readonly ledger: string
  readonly header: CopyHeader
  /** Of zstd. */
  readonly level: number
  /** Threads that compress. */
  readonly concurrency: number
  /** 0 to 19: how much the tablet's own work goes first. */
  readonly nice?: number
  /** Bytes of files that are read in a second at most; undefined: as many as can be. */
  readonly maxRate?: number | undefined
  readonly signal: AbortSignal
  /** As `ProgressMeter` tells it. */
  readonly onProgress: (progress: Progress, isSettling: boolean) => void
  /** Proves once more that the files are those of the stop, when all were read. */
  readonly fence?: () => Promise<void>
}

/** What all parts of one copy work with. */
export interface CopyContext {
  readonly pool: WorkerPool
  readonly upload: Upload
  readonly ledger: CopyLedger
  readonly inFlight: FramesInFlight
  readonly rate: RateLimit
  readonly abort: CopyAbort
  readonly behind: WriteBehind
  readonly meter: ProgressMeter
  readonly level: number
}

/**
 * Copies files to storage as frames that are compressed in parallel, those of one file too, the largest file first. All objects become
 * visible when the last one is whole and nothing has changed meanwhile. Memory depends on `concurrency`, not on sizes. What an attempt
 * that died has copied is not copied again.
 * @throws FenceBroken when a file is not what it was; Refused when one cannot be read; the errors of the store; the signal's reason.
 *   Nothing runs any more then.
 */
export async function copyBackup(copy: BackupCopy): Promise<CopyTotals> {
  const { files, store, concurrency, nice = 0, onProgress } = copy
  using _ = heapForCopyOf(files.length)
  await using ledger = await openLedger(copy)
  if (ledger.isFinished) return ledger.totals
  const upload = await store.upload(copy.directory, ledger.upload)
  await using pool = new WorkerPool({ size: concurrency, nice, storage: store.description })
  using meter = new ProgressMeter(
    files.map(({ size }) => size),
    onProgress,
  )
  const abort = new CopyAbort(copy.signal, pool)
  const inFlight = new FramesInFlight(concurrency + 4)
  const behind = new WriteBehind(() => ledger.syncing(() => upload.writeOut()))
  const rate = new RateLimit(copy.maxRate, abort.signal)
  const context: CopyContext = { pool, upload, ledger, inFlight, rate, abort, behind, meter, level: copy.level }
  abort.start(copyAll(copy, context))
  try {
    await abort.settle()
  } finally {
    // Whatever else failed: a failure of this one voids the ledger.
    await behind.settle()
  }
  await ledger.syncing(() => meter.settling(() => upload.commit(Array.from(files.keys(), String))))
  copy.signal.throwIfAborted()
  await checkUnchanged(files)
  await copy.fence?.()
  await ledger.finish()
  return ledger.totals
}

/** The objects that are missing, the largest first: what is left at the end is small, so that all threads end together. */
async function copyAll({ files }: BackupCopy, context: CopyContext): Promise<void> {
  const { ledger, meter, abort, inFlight, rate } = context
  const order = Array.from(files.keys()).sort((a, b) => sizeOf(files, b) - sizeOf(files, a))
  for (const index of order) if (ledger.has(index)) meter.skipFile(sizeOf(files, index))
  const missing = order.filter((index) => !ledger.has(index))
  const large = missing.filter((index) => sizeOf(files, index) > FRAME_SIZE)
  for (const index of large) {
    const file = files[index]
    if (file === undefined || abort.aborted) break
    await copyLargeFile(context, file, index)
  }
  for (const batch of batchesOf(missing.slice(large.length), (index) => sizeOf(files, index))) {
    await inFlight.enter()
    await rate.admit(batch.reduce((sum, index) => sum + sizeOf(files, index), 0))
    if (abort.aborted) return
    abort.start(copySmallFiles(context, files, batch).finally(() => inFlight.leave()))
  }
}

async function openLedger(copy: BackupCopy): Promise<CopyLedger> {
  const { files, store, directory, level, header, signal } = copy
  const binding: CopyBinding = {
    ...header,
    files: fingerprintOf(files),
    store: store.description,
    compressor: compressorOf(level),
    boot: await bootId(),
  }
  const found = await CopyLedger.resume(copy.ledger, binding, files.length)
  if (found !== undefined) return found
  await discardUnfinished(store, directory, signal)
  const { id } = await store.upload(directory)
  signal.throwIfAborted()
  return await CopyLedger.create(copy.ledger, binding, id, files.length)
}

/** Removes what an attempt that cannot be continued has left. Objects that are visible already are not this run's to remove. */
async function discardUnfinished(store: ObjectStore, directory: string, signal: AbortSignal): Promise<void> {
  if ((await store.repository()).state === 'new') return
  // A store that hung: another attempt may be writing there by now.
  signal.throwIfAborted()
  await store.abortUploads(directory)
  const { objects } = await store.list(directory)
  if (objects.length === 0) return
  throw new TabletkeeperError(
    'FenceBroken',
    `${directory} in ${store.description} has objects of an attempt that cannot be continued`,
    {
      hint: 'The host was restarted, the agent was exchanged, or a disk failed meanwhile. Nothing is published; start another backup.',
    },
  )
}

function sizeOf(files: readonly DataFile[], index: number): number {
  return files[index]?.size ?? 0
}
