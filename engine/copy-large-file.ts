import type { DataFile } from '../mysql/data-directory.ts'
import type { ObjectWriter } from '../storage/object-store.ts'
import type { CopyContext } from './backup-copy.ts'
import { checksumsOf } from './checksums.ts'
import type { CopyAbort } from './copy-abort.ts'
import { FRAME_SIZE, framesOf } from './frame.ts'
import { ObjectDigest } from './object-digest.ts'
import { type PageFormat, pageFormatOf } from './page-check.ts'
import { openSource, type SourceFile } from './source-file.ts'
import type { CompressFrame, StoredFrame } from './tasks.ts'

/** Told by these first bytes, how the pages of a file are checked. */
const HEAD = 64 * 1024

/**
 * Starts to store a file of several frames, and resolves when its last frame is on its way: the next file can follow at once. Frames are
 * compressed in parallel and written in their order, since an offset is known only when what is before it has been compressed.
 */
export async function copyLargeFile(context: CopyContext, file: DataFile, index: number): Promise<void> {
  const { abort, inFlight, pool, level } = context
  await using opened = new AsyncDisposableStack()
  const source = opened.use(await openSource(file))
  const writing = await openObject(context, index)
  opened.defer(() => writing.writer.close())
  const pages = pageFormatOf(file.name, await source.start(HEAD))

  const object = new LargeObject(context, file, index, writing)
  const compressing = new Set<Promise<unknown>>()
  let written = Promise.resolve()
  for (let frame = writing.digest.frames; frame < framesOf(file.size); frame++) {
    await inFlight.enter()
    if (abort.aborted) {
      inFlight.leave()
      break
    }
    const compressed = pool.run('compressFrame', frameOf(source, file, frame, pages, level))
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
  /** Of what is there already. */
  readonly digest: ObjectDigest
}

/** Goes on after the last frame that an earlier attempt has stored. */
async function openObject({ ledger, upload, meter }: CopyContext, index: number): Promise<Writing> {
  const digest = new ObjectDigest()
  for (const frame of ledger.framesOf(index)) digest.addFrame(frame)
  const writer = await upload.open(String(index), digest.stored)
  if (writer.kept === digest.stored) {
    meter.skipBytes(digest.plain)
    return { writer, digest }
  }
  await writer.close()
  ledger.restart(index)
  return { writer: await upload.open(String(index), 0), digest: new ObjectDigest() }
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

/** An object of several frames while it is written. */
class LargeObject {
  readonly #context: CopyContext
  readonly #file: DataFile
  readonly #index: number
  readonly #writer: ObjectWriter
  readonly #digest: ObjectDigest

  constructor(context: CopyContext, file: DataFile, index: number, { writer, digest }: Writing) {
    this.#context = context
    this.#file = file
    this.#index = index
    this.#writer = writer
    this.#digest = digest
  }

  async addFrame(frame: number, { bytes, crc, sha, badPages }: StoredFrame): Promise<void> {
    const { abort, behind, ledger, meter } = this.#context
    if (abort.aborted) return
    const stored = bytes.length
    const plain = Math.min(FRAME_SIZE, this.#file.size - frame * FRAME_SIZE)
    await this.#writer.write(bytes)
    // Given back at once: waiting for the garbage collector is what makes the process grow.
    if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0)
    this.#digest.addFrame({ plain, stored, crc, sha })
    ledger.addFrame(this.#index, { plain, stored, crc, sha }, badPages)
    meter.addBytes(plain)
    await behind.wrote(stored)
  }

  async finish(): Promise<void> {
    const { ledger, meter } = this.#context
    const table = this.#digest.seekTable()
    await this.#writer.write(table)
    this.#digest.addSeekTable({ stored: table.length, ...checksumsOf(table) })
    const { base, name, size } = this.#file
    const { crc: hash, stored } = this.#digest
    const index = this.#index
    ledger.addFiles([{ index, base, name, size, stored, hash, segmentHash: this.#digest.hash(), badPages: [] }])
    meter.addFile()
  }
}
