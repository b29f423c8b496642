import { messageOf } from '../../model/errors.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { Progress } from '../../model/runs.ts'
import type { Verification } from '../../model/verification.ts'
import { MANIFEST } from '../../storage/catalogue/backup-key.ts'
import { damageOf, mayBeDamage } from '../../storage/object-damage.ts'
import type { ByteRange, ObjectKey, ObjectStore } from '../../storage/object-store.ts'
import { batchesOf } from '../backup/batches.ts'
import { assertStored, storedSizes } from '../backup/check.ts'
import { CopyAbort } from '../backup/copy-abort.ts'
import { assertChecksums, type FramedObject, readFramedObject, storedObjects } from '../backup/framed-object.ts'
import { decompressionOf } from '../frames/decompressors.ts'
import { FRAME_SIZE } from '../frames/frame.ts'
import { plainBytes } from '../frames/plain-stream.ts'
import { PageStream } from '../pages/page-stream.ts'
import { FramesInFlight } from '../pool/frames-in-flight.ts'
import { inParallel } from '../pool/in-parallel.ts'
import { WorkerPool } from '../pool/worker-pool.ts'
import { ProgressMeter } from '../progress-meter.ts'
import { VerifyFindings } from './verify-findings.ts'

/** Stored bytes that a stream may have asked for beyond those that it gave. */
const READ_AHEAD = 16 * 1024 * 1024

export interface VerifyCopy {
  readonly manifest: Manifest
  readonly store: ObjectStore
  /** What the keys of the backup start with (`backupDirectory`). */
  readonly directory: string
  /** Threads that decompress and check. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** An object of the backup that is there at its size. */
interface StoredObject {
  readonly index: number
  readonly key: ObjectKey
  /** Of its file: the path below its directory. */
  readonly name: string
  readonly hash: string
  readonly storedSize: number
  /** Undefined in backups that Vitess made. */
  readonly framed: FramedObject | undefined
}

type Framed = StoredObject & { readonly framed: FramedObject }

interface VerifyContext {
  readonly store: ObjectStore
  readonly pool: WorkerPool
  readonly inFlight: FramesInFlight
  readonly abort: CopyAbort
  readonly meter: ProgressMeter
  readonly findings: VerifyFindings
}

/**
 * Reads every object of a backup to its end, and checks all that can be checked without a server: sizes as the store lists them, both
 * checksums of the stored bytes, that every frame decompresses to its size with its own checksum, and the checksums of InnoDB's pages.
 * What is damaged, or cannot be read by the disk that it lies on, is reported, and everything else is read all the same. Nothing is
 * written. Progress counts plain bytes, or stored ones where the MANIFEST knows no plain sizes.
 * @throws IncompatibleVersion (`decompressionOf`); the errors of the store; the signal's reason. Nothing runs any more then.
 */
export async function verifyBackup(copy: VerifyCopy): Promise<Verification> {
  const { manifest, store, directory, concurrency, signal } = copy
  const decompression = decompressionOf(manifest)
  const findings = new VerifyFindings(manifest, directory)
  const sizes = await storedSizes(store, directory, manifest.FileEntries.length, signal)
  const objects = objectsThere(copy, sizes, findings).toSorted((a, b) => b.storedSize - a.storedSize)
  using meter = new ProgressMeter(
    objects.map(({ framed, storedSize }) => framed?.plain ?? storedSize),
    copy.onProgress,
  )
  const framed = objects.filter((object): object is Framed => object.framed !== undefined)
  if (framed.length > 0) await verifyFramed(copy, framed, findings, meter)
  let streamed = 0
  const streams = objects.filter((object) => object.framed === undefined)
  await inParallel(streams, concurrency, signal, async (object, stop) => {
    const pages = new PageStream(object.name, (page) => findings.addPage(object.index, page))
    let read = 0
    const seen = (bytes: number): void => {
      read += bytes
      meter.addBytes(bytes)
    }
    const reading = { store, decompression, signal: stop, seen }
    const reached = (): ByteRange => ({ start: read, end: Math.min(read + READ_AHEAD, object.storedSize) - 1 })
    await noting({ store, findings, unread: reached }, object, async () => {
      for await (const chunk of plainBytes(object, reading)) {
        pages.add(chunk)
        streamed += chunk.length
      }
      pages.end()
    })
    meter.addFile()
  })
  return {
    files: manifest.FileEntries.length,
    dataBytes: streamed + framed.reduce((sum, object) => sum + object.framed.plain, 0),
    storedBytes: objects.reduce((sum, object) => sum + object.storedSize, 0),
    ...findings.result(),
    warnings: strangers(copy, sizes),
  }
}

/** What the MANIFEST lists and the store has at its size; the others are findings already. */
function objectsThere(
  { manifest, directory }: VerifyCopy,
  sizes: ReadonlyMap<string, number>,
  findings: VerifyFindings,
): StoredObject[] {
  const { Files: sections = [], FrameSize: frameSize = 1 } = manifest.Tabletkeeper ?? {}
  return manifest.FileEntries.flatMap(({ Name: name, Hash: hash }, index) => {
    const key = `${directory}${index}`
    const section = sections[index]
    try {
      const storedSize = assertStored(sizes, key, section?.Stored)
      const framed = section && {
        key,
        stored: storedSize,
        plain: section.Size,
        frameSize,
        crc: hash,
        hash: section.Hash,
      }
      return [{ index, key, name, hash, storedSize, framed }]
    } catch (error) {
      findings.addObject(index, messageOf(error))
      return []
    }
  })
}

async function verifyFramed(
  { store, concurrency, signal }: VerifyCopy,
  objects: readonly Framed[],
  findings: VerifyFindings,
  meter: ProgressMeter,
): Promise<void> {
  await using pool = new WorkerPool({ size: concurrency, storage: store.description })
  const abort = new CopyAbort(signal, pool)
  const inFlight = new FramesInFlight(2 * concurrency + 2)
  abort.start(verifyAll({ store, pool, inFlight, abort, meter, findings }, objects))
  await abort.settle()
}

async function verifyAll(context: VerifyContext, objects: readonly Framed[]): Promise<void> {
  const { abort, inFlight } = context
  const isSmall = ({ framed }: Framed): boolean => framed.plain <= Math.min(framed.frameSize, FRAME_SIZE)
  for (const object of objects) {
    if (abort.aborted) return
    if (!isSmall(object)) await verifyLarge(context, object)
  }
  for (const batch of batchesOf(objects.filter(isSmall), ({ framed }) => framed.plain)) {
    await inFlight.enter()
    if (abort.aborted) {
      inFlight.leave()
      return
    }
    abort.start(verifyBatch(context, batch).finally(() => inFlight.leave()))
  }
}

/** Starts to read an object of several frames, and resolves when the last one is on its way. */
async function verifyLarge(context: VerifyContext, object: Framed): Promise<void> {
  const { abort, meter, findings } = context
  let left = object.framed.plain
  let failed: ByteRange | undefined
  const noted = { ...context, unread: () => failed }
  const ended = (): void => {
    meter.addBytes(left)
    meter.addFile()
  }
  const reading = await noting(noted, object, () =>
    readFramedObject({ ...context, isAborted: () => abort.aborted }, object.framed, {
      pagesOf: object.name,
      onFrame: async (_frame, plain, { badPages }) => {
        left -= plain
        meter.addBytes(plain)
        for (const page of badPages) findings.addPage(object.index, page)
      },
      onFailed: (range) => {
        failed = range
      },
    }),
  )
  if (reading === undefined) ended()
  else abort.start(noting(noted, object, () => reading.whole).then(ended))
}

/** Reads small objects on one thread; where one is damaged, each alone, to tell which. */
async function verifyBatch(context: VerifyContext, batch: readonly Framed[]): Promise<void> {
  const { store, pool, abort, meter, findings } = context
  try {
    const stored = await storedObjects(store, batch, abort.signal)
    const tasks = batch.flatMap(({ key, name, framed }, at) => {
      const from = stored[at]
      return from ? [{ key, from, stored: framed.stored, length: framed.plain, to: undefined, name }] : []
    })
    const { files } = await pool.run('restoreFiles', { files: tasks })
    for (const [at, object] of batch.entries()) {
      const { crc = '', hash = '', badPages = [] } = files[at] ?? {}
      for (const page of badPages) findings.addPage(object.index, page)
      await noting(context, object, async () => assertChecksums(object.framed, crc, hash))
    }
  } catch (error) {
    const [only, ...others] = batch
    if (only === undefined || abort.aborted) throw error
    if (others.length > 0) {
      if (!(await mayBeDamage(store, error))) throw error
      for (const object of batch) await verifyBatch(context, [object])
      return
    }
    const damage = await damageOf(store, only.key, error)
    if (damage === undefined) throw error
    findings.addObject(only.index, damage)
  }
  for (const { framed } of batch) {
    meter.addBytes(framed.plain)
    meter.addFile()
  }
}

interface Noting extends Pick<VerifyContext, 'store' | 'findings'> {
  /** What of the object the failure is about, where that is known. */
  readonly unread?: () => ByteRange | undefined
}

/** Notes the damage that `read` meets in an object, and gives undefined then; throws what is no damage. */
async function noting<T>(
  { store, findings, unread }: Noting,
  { index, key }: StoredObject,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    const damage = await damageOf(store, key, error, unread?.())
    if (damage === undefined) throw error
    findings.addObject(index, damage)
    return undefined
  }
}

/** Objects that no file of the backup has: they do no harm, and nobody knows how they got there. */
function strangers({ manifest, directory }: VerifyCopy, sizes: ReadonlyMap<string, number>): Verification['warnings'] {
  const known = new Set([...manifest.FileEntries.keys()].map((index) => `${directory}${index}`)).add(
    directory + MANIFEST,
  )
  const found = [...sizes.keys()].filter((key) => !known.has(key))
  const told = found.slice(0, STRANGERS_TOLD).map((about) => ({ about, message: 'belongs to no file of the backup' }))
  const more = found.length - told.length
  return more > 0
    ? [...told, { about: directory, message: `${more} more objects belong to no file of the backup` }]
    : told
}

const STRANGERS_TOLD = 5
