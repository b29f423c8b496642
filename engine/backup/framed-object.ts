import { TabletkeeperError } from '../../model/errors.ts'
import type { ByteRange, ObjectKey, ObjectStore } from '../../storage/object-store.ts'
import { releasePiece } from '../../storage/s3/socket-body.ts'
import { checksumsOf } from '../frames/checksums.ts'
import { framesOf } from '../frames/frame.ts'
import { FrameChecksums } from '../frames/frame-checksums.ts'
import { type FramePlace, type FramePlaces, parseSeekTable, seekTableSize } from '../frames/seek-table.ts'
import { ObjectDigest } from '../object-digest.ts'
import type { PageFormat } from '../pages/page-check.ts'
import type { FramesInFlight } from '../pool/frames-in-flight.ts'
import { inParallel } from '../pool/in-parallel.ts'
import type { Checked, Checksums, OutputFile, RestoreFrame, StoredBytes } from '../pool/tasks.ts'
import type { WorkerPool } from '../pool/worker-pool.ts'

/** Of each batch; there are as many batches on their way as frames otherwise. */
const READ_AT_ONCE = 8

/** An object that is made of frames, as the MANIFEST describes it. */
export interface FramedObject {
  readonly key: ObjectKey
  /** Bytes, stored and plain. */
  readonly stored: number
  readonly plain: number
  readonly frameSize: number
  /** CRC-32 of the stored bytes, 8 hex digits. */
  readonly crc: string
  /** SHA-256 over the SHA-256 of each frame and of the seek table; undefined where nobody recorded it. */
  readonly hash: string
}

export interface ObjectReading {
  readonly store: ObjectStore
  readonly pool: Pick<WorkerPool, 'run'>
  readonly inFlight: FramesInFlight
  isAborted(): boolean
}

export interface ReadOptions {
  /** Where plain bytes are written; undefined: they are only checked. */
  readonly to?: OutputFile | undefined
  /** Told of all frames before the first one is read. */
  readonly onPlaces?: (places: FramePlaces) => Promise<void>
  /** The file's name, when its InnoDB pages are checked. */
  readonly pagesOf?: string | undefined
  /** What an earlier attempt knows of the frames that it has written already. */
  readonly known?: Pick<FrameChecksums, 'get' | 'has'>
  /** Given the reading of each frame, which rejects as soon as it fails; `whole` does when the others have ended. */
  readonly onBegun?: (done: Promise<void>) => void
  /** Told of each frame when it is done; the next ones wait for it when many are on their way. */
  readonly onFrame: (frame: number, plain: number, checked: Checked) => Promise<void>
  /** Told which stored bytes the failure is about that is thrown next. */
  readonly onFailed?: (range: ByteRange) => void
}

/**
 * Sends all frames of an object on their way to the threads, each read by its range, and resolves when the last one is: the next object
 * can follow at once. `whole` resolves when every frame was checked, and all together are what the MANIFEST says; or when the reading
 * was aborted. Nothing of the object is at work any more when it settles.
 * @throws CorruptBackup naming the object; the errors of the store
 */
export async function readFramedObject(
  reading: ObjectReading,
  object: FramedObject,
  options: ReadOptions,
): Promise<{ readonly whole: Promise<void> }> {
  const { inFlight, isAborted } = reading
  const table = await readSeekTable(reading.store, object, options)
  const checksums = new FrameChecksums()
  await options.onPlaces?.(table.places)
  // Only what is on its way is kept of all the frames, and of those that failed the first.
  const underWay = new Set<Promise<void>>()
  let failure: { readonly place: FramePlace; readonly error: unknown } | undefined
  let format: PageFormat | undefined
  let frame = -1
  for (const place of table.places) {
    frame += 1
    if (options.known?.has(frame)) continue
    await inFlight.enter()
    if (isAborted()) {
      inFlight.leave()
      break
    }
    const number = frame
    const done = readFrame(reading, object, place, options, format)
      .then(async (checked) => {
        checksums.set(number, checked)
        format ??= checked.format
        await options.onFrame(number, place.plain, checked)
      })
      .finally(() => inFlight.leave())
    options.onBegun?.(done)
    const ended = done
      .catch((error: unknown) => {
        if (failure === undefined || place.storedOffset < failure.place.storedOffset) failure = { place, error }
      })
      .finally(() => underWay.delete(ended))
    underWay.add(ended)
    // The first frame tells how the pages of all are checked.
    if (frame === 0 && options.pagesOf !== undefined) await ended
  }
  const whole = Promise.all(underWay).then(() => {
    if (failure !== undefined) {
      const { place, error } = failure
      options.onFailed?.(rangeOf(place.storedOffset, place.stored))
      throw error
    }
    if (!isAborted()) assertDigest(object, table, (at) => checksums.get(at) ?? options.known?.get(at))
  })
  whole.catch(() => {})
  return { whole }
}

/** Where stored bytes are to be had for a thread: from a file, or read here. */
export async function storedBytes(
  store: ObjectStore,
  key: ObjectKey,
  offset: number,
  length: number,
): Promise<StoredBytes> {
  const path = store.localPath(key)
  if (path !== undefined) return { kind: 'file', path, offset, length }
  return { kind: 'memory', bytes: await readRange(store, key, offset, length) }
}

/** The same for whole small objects, in their order. */
export async function storedObjects(
  store: ObjectStore,
  objects: readonly { readonly key: ObjectKey; readonly framed: FramedObject }[],
  signal: AbortSignal,
): Promise<StoredBytes[]> {
  const found: StoredBytes[] = []
  await inParallel([...objects.entries()], READ_AT_ONCE, signal, async ([at, { key, framed }]) => {
    found[at] = await storedBytes(store, key, 0, framed.stored)
  })
  return found
}

interface SeekTable {
  readonly places: FramePlaces
  readonly length: number
  readonly checksums: Checksums
}

async function readSeekTable(store: ObjectStore, object: FramedObject, { onFailed }: ReadOptions): Promise<SeekTable> {
  const { key, stored, plain, frameSize } = object
  const length = seekTableSize(framesOf(plain, frameSize))
  if (length > stored)
    throw new TabletkeeperError('CorruptBackup', `${key} has ${stored} bytes, fewer than its seek table`)
  const table = await readRange(store, key, stored - length, length).catch((error: unknown) => {
    onFailed?.(rangeOf(stored - length, length))
    throw error
  })
  return { places: parseSeekTable(table, { key, stored, plain, frameSize }), length, checksums: checksumsOf(table) }
}

async function readFrame(
  { store, pool }: ObjectReading,
  { key }: FramedObject,
  place: FramePlace,
  { to, pagesOf }: ReadOptions,
  format: PageFormat | undefined,
): Promise<Checked> {
  const from = await storedBytes(store, key, place.storedOffset, place.stored)
  const task: RestoreFrame = {
    key,
    from,
    length: place.plain,
    to: to && { ...to, offset: place.plainOffset },
    pages: pagesOf === undefined ? undefined : { name: pagesOf, offset: place.plainOffset, format },
  }
  const isOurs = from.kind === 'memory' && from.bytes.buffer instanceof ArrayBuffer
  return await pool.run('restoreFrame', task, isOurs ? [from.bytes.buffer] : [])
}

function assertDigest(
  object: FramedObject,
  table: SeekTable,
  checksumsOfFrame: (frame: number) => Checksums | undefined,
): void {
  const digest = new ObjectDigest()
  let frame = 0
  for (const { stored, plain } of table.places) {
    const checksums = checksumsOfFrame(frame)
    if (checksums !== undefined) digest.addFrame({ stored, plain, ...checksums })
    frame += 1
  }
  digest.addSeekTable({ stored: table.length, ...table.checksums })
  assertChecksums(object, digest.crc, digest.hash())
}

/** @throws CorruptBackup naming the object when its bytes are not those of the MANIFEST */
export function assertChecksums(object: FramedObject, crc: string, hash: string): void {
  const { key } = object
  if (crc !== object.crc) {
    throw new TabletkeeperError('CorruptBackup', `${key} has CRC-32 ${crc} instead of ${object.crc}`)
  }
  if (hash !== object.hash) {
    throw new TabletkeeperError('CorruptBackup', `${key} has SHA-256 ${hash} instead of ${object.hash}`)
  }
}

function rangeOf(offset: number, length: number): ByteRange {
  return { start: offset, end: offset + length - 1 }
}

/** A buffer of its own, which can be transferred. */
async function readRange(store: ObjectStore, key: ObjectKey, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  for await (const chunk of await store.get(key, rangeOf(offset, length))) {
    if (!Buffer.isBuffer(chunk)) continue
    filled += chunk.copy(bytes, filled)
    releasePiece(chunk)
  }
  return bytes
}
