import type { DataFile } from '../../mysql/data/data-directory.ts'
import type { ObjectWriter } from '../../storage/object-store.ts'
import { checksumsOf } from '../frames/checksums.ts'
import { FRAME_SIZE, framesOf } from '../frames/frame.ts'
import { type FrameDigest, ObjectDigest } from '../object-digest.ts'
import { type PageFormat, pageFormatOf } from '../pages/page-check.ts'
import type { CompressFrame, StoredFrame } from '../pool/tasks.ts'
import type { CopyContext } from './backup-copy.ts'
import type { CopyAbort } from './copy-abort.ts'
import { isHole } from './hole.ts'
import { openSource, type SourceFile } from './source-file.ts'

/** Told by these first bytes, how the pages of a file are checked. */
const HEAD = 64 * 1024

/**
 * Starts to store a file of several frames, and resolves when its last frame is on its way: the next file can follow at once. Frames are
 * compressed in parallel and written in their order, since an offset is known only when what is before it has been compressed.
 */
export async function copyLargeFile(context: CopyContext, file: DataFile, index: number): Promise<void> {
  const { abort, inFlight, rate, pool, upload, ledger, meter, level } = context
  await using opened = new AsyncDisposableStack()
  const source = opened.use(await openSource(file))
  const stored = ledger.storedOf(index)
  const open = () => upload.open(String(index), stored, abort.signal)
  // A store may have to finish what an earlier attempt has begun.
  const writer = await (stored > 0 ? meter.settling(open) : open())
  opened.defer(() => ledger.syncing(() => writer.close()))
  // A store that hung: another attempt may have gone on with the ledger since.
  if (abort.aborted) return
  const writing = goOn(context, index, writer)
  const pages = pageFormatOf(file.name, await source.start(HEAD))

  const object = new LargeObject(context, file, index, writing)
  const compressing = new Set<Promise<unknown>>()
  let written = Promise.resolve()
  for (let frame = writing.digest.frames; frame < framesOf(file.size); frame++) {
    await inFlight.enter()
    const task = frameOf(source, file, frame, pages, level)
    if (isRead(task)) await rate.admit(task.length)
    if (abort.aborted) {
      inFlight.leave()
      break
    }
    const compressed = pool.run('compressFrame', task)
    const ended: Promise<unknown> = compressed.catch(() => {}).finally(() => compressing.delete(ended))
    compressing.add(ended)
    const before = written
    written = before.then(async () => object.addFrame(frame, await compressed)).finally(() => inFlight.leave())
    abort.start(written)
  }
  const close = opened.move()
  abort.start(
    written
      .then(() => finishObject(source, object, abort))
      .finally(async () => {
        // No thread may read from a descriptor that is closed, and perhaps another file's by then.
        await Promise.all(compressing)
        await close.disposeAsync()
      }),
  )
}

async function finishObject(source: SourceFile, object: LargeObject, abort: CopyAbort): Promise<void> {
  if (abort.aborted) return
  await source.assertSame()
  await object.finish()
}

interface Writing {
  readonly writer: ObjectWriter
  /** Of the frames that are there already. */
  readonly digest: ObjectDigest
}

/** Goes on after the last whole frame that an earlier attempt has stored. */
function goOn({ ledger, meter }: CopyContext, index: number, writer: ObjectWriter): Writing {
  const digest = new ObjectDigest()
  for (const frame of ledger.framesWithin(index, writer.kept)) digest.addFrame(frame)
  meter.skipBytes(digest.plain)
  return { writer, digest }
}

function frameOf(
  source: SourceFile,
  { path, size }: DataFile,
  frame: number,
  pages: PageFormat | undefined,
  level: number,
): CompressFrame {
  const offset = frame * FRAME_SIZE
  const length = Math.min(FRAME_SIZE, size - offset)
  return { descriptor: source.descriptor, path, offset, length, sparse: source.isSparse, pages, level }
}

function isRead(task: CompressFrame): boolean {
  try {
    return !isHole(task)
  } catch {
    // The thread fails by it too, and says so when nothing reads from the descriptor any more.
    return true
  }
}

/** An object of several frames while it is written. */
class LargeObject {
  readonly #context: CopyContext
  readonly #file: DataFile
  readonly #index: number
  readonly #writer: ObjectWriter
  readonly #digest: ObjectDigest
  /** Frames that the store has taken, but may not have kept yet. */
  readonly #taken: { readonly end: number; readonly frame: FrameDigest; readonly badPages: readonly number[] }[] = []
  /** Bytes of the next frame that are there already: a store may cut an object anywhere. */
  #there: number

  constructor(context: CopyContext, file: DataFile, index: number, { writer, digest }: Writing) {
    this.#context = context
    this.#file = file
    this.#index = index
    this.#writer = writer
    this.#digest = digest
    this.#there = writer.kept - digest.stored
  }

  async addFrame(frame: number, { bytes, crc, sha, badPages }: StoredFrame): Promise<void> {
    const { abort, behind, meter } = this.#context
    if (abort.aborted) return
    const stored = bytes.length
    const plain = Math.min(FRAME_SIZE, this.#file.size - frame * FRAME_SIZE)
    await (this.#there === 0 ? this.#writer.write(bytes, crc) : this.#writer.write(bytes.subarray(this.#there)))
    this.#there = 0
    // Given back at once: waiting for the garbage collector is what makes the process grow.
    if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0)
    // A store that hung: another attempt may have gone on with the ledger since.
    if (abort.aborted) return
    const digest = { plain, stored, crc, sha }
    this.#digest.addFrame(digest)
    this.#taken.push({ end: this.#digest.stored, frame: digest, badPages })
    this.#recordKept()
    meter.addBytes(plain)
    await behind.wrote(stored)
  }

  async finish(): Promise<void> {
    const { ledger, meter, abort } = this.#context
    const table = this.#digest.seekTable()
    await this.#writer.write(table)
    await meter.settling(() => this.#writer.finish())
    // Some mounts tell no sooner that they have lost what was written.
    await ledger.syncing(() => this.#writer.close())
    if (abort.aborted) return
    this.#recordKept()
    this.#digest.addSeekTable({ stored: table.length, ...checksumsOf(table) })
    const { base, name, size } = this.#file
    const { crc: hash, stored } = this.#digest
    const index = this.#index
    ledger.addFiles([{ index, base, name, size, stored, hash, segmentHash: this.#digest.hash(), badPages: [] }])
    meter.addFile()
  }

  #recordKept(): void {
    for (let next = this.#taken[0]; next !== undefined && next.end <= this.#writer.kept; next = this.#taken[0]) {
      this.#context.ledger.addFrame(this.#index, next.frame, next.badPages)
      this.#taken.shift()
    }
  }
}
