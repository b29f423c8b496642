import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { directBlockOf, O_DIRECT } from '../../mysql/system/direct-io.ts'
import { reserve } from '../../mysql/system/file-blocks.ts'
import { FILE_MODE } from '../../storage/file/durable-file.ts'
import { codeOf } from '../../storage/file/errors.ts'
import { assertChecksums, readFramedObject, storedObjects } from '../backup/framed-object.ts'
import { mayBeZeros } from '../frames/frame.ts'
import type { FramePlaces } from '../frames/seek-table.ts'
import { localFileError } from '../local-file-error.ts'
import type { OutputFile } from '../pool/tasks.ts'
import type { FramedFile, RestoreContext } from './restore-copy.ts'

/** Starts to write a file of several frames, in parallel and each in its place, and resolves when the last one is on its way. */
export async function restoreLargeFile(context: RestoreContext, file: FramedFile): Promise<void> {
  const { abort, restored, behind, ledger, meter } = context
  const { index, path, framed } = file
  const known = ledger.framesOf(index)
  await using opened = new AsyncDisposableStack()
  const output = opened.use(await openOutput(path, framed.plain, known.size === 0))
  const { whole } = await readFramedObject({ ...context, isAborted: () => abort.aborted }, framed, {
    to: output,
    // What waited for a store that hung: another attempt may have gone on with the file and the ledger since.
    onPlaces: async (places) => {
      if (!abort.aborted) await reserveRoom(output, places)
    },
    known,
    // A damaged frame ends the restore now, not when the rest of a large file has been read.
    onBegun: (done) => abort.start(done),
    onFrame: async (frame, plain, checked) => {
      if (abort.aborted) return
      ledger.addFrame(index, frame, checked)
      meter.addBytes(plain)
      restored.wrote(path)
      await behind.wrote(plain)
    },
  })
  meter.skipBytes(Math.min(framed.plain, known.size * framed.frameSize))
  const close = opened.move()
  abort.start(
    whole
      .then(() => {
        if (abort.aborted) return
        ledger.addFiles(index)
        meter.addFile()
      })
      .finally(() => close.disposeAsync()),
  )
}

/** Writes a batch of whole files, on one thread. */
export async function restoreSmallFiles(
  { store, pool, ledger, meter, abort, restored, behind }: RestoreContext,
  batch: readonly FramedFile[],
): Promise<void> {
  const stored = await storedObjects(store, batch, abort.signal)
  const tasks = batch.flatMap(({ key, path, framed }, at) => {
    const from = stored[at]
    return from ? [{ key, from, stored: framed.stored, length: framed.plain, to: path, name: undefined }] : []
  })
  const { files } = await pool.run('restoreFiles', { files: tasks })
  if (abort.aborted) return
  for (const [at, { framed }] of batch.entries()) {
    const checked = files[at]
    if (checked !== undefined) assertChecksums(framed, checked.crc, checked.hash)
  }
  ledger.addFiles(...batch.map(({ index }) => index))
  for (const { framed } of batch) {
    meter.addBytes(framed.plain)
    meter.addFile()
  }
  restored.wrote(...batch.map(({ path }) => path))
  await behind.wrote(batch.reduce((sum, { framed }) => sum + framed.plain, 0))
}

/**
 * Gives the file its place on the disk, but for what stays a hole: only then can several threads write to it at once, and a disk that is
 * too small is noticed before the work is done.
 */
async function reserveRoom({ descriptor, path }: OutputFile, places: FramePlaces): Promise<void> {
  let from = 0
  let to = 0
  try {
    for (const place of places) {
      if (mayBeZeros(place)) continue
      if (place.plainOffset !== to) {
        if (to > from) await reserve(descriptor, from, to - from)
        from = place.plainOffset
      }
      to = place.plainOffset + place.plain
    }
    if (to > from) await reserve(descriptor, from, to - from)
  } catch (error) {
    throw localFileError(error, 'write', path)
  }
}

/** A file of its final size: what is not written in it is a hole. */
async function openOutput(path: string, size: number, isNew: boolean): Promise<OutputFile & AsyncDisposable> {
  const { O_RDWR, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants
  await using opened = new AsyncDisposableStack()
  try {
    const output = opened.use(await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | (isNew ? O_TRUNC : 0), FILE_MODE))
    await output.truncate(size)
    const direct = await openDirect(path)
    if (direct !== undefined) opened.use(direct.handle)
    const close = opened.move()
    return {
      path,
      descriptor: output.fd,
      direct: direct && { descriptor: direct.handle.fd, block: direct.block },
      [Symbol.asyncDispose]: () => close.disposeAsync(),
    }
  } catch (error) {
    throw localFileError(error, 'write', path)
  }
}

async function openDirect(path: string): Promise<{ readonly handle: FileHandle; readonly block: number } | undefined> {
  const block = await directBlockOf(dirname(path))
  if (block === undefined) return undefined
  try {
    return { handle: await open(path, constants.O_WRONLY | O_DIRECT), block }
  } catch (error) {
    if (codeOf(error) === 'EINVAL') return undefined
    throw error
  }
}
