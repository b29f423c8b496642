import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { FILE_MODE } from '../storage/durable-file.ts'
import { allEnded } from './all-ended.ts'
import { assertChecksums, readFramedObject, storedBytes } from './framed-object.ts'
import { localFileError } from './local-file-error.ts'
import type { FramedFile, RestoreContext } from './restore-copy.ts'

/** Starts to write a file of several frames, in parallel and each in its place, and resolves when the last one is on its way. */
export async function restoreLargeFile(context: RestoreContext, file: FramedFile): Promise<void> {
  const { abort, behind, ledger, meter } = context
  const { index, path, framed } = file
  const known = ledger.framesOf(index)
  await using opened = new AsyncDisposableStack()
  const output = opened.use(await openOutput(path, framed.plain, known.size === 0))
  const { whole } = await readFramedObject({ ...context, isAborted: () => abort.aborted }, framed, {
    to: { descriptor: output.fd, path },
    known: (frame) => known.get(frame),
    onFrame: async (frame, plain, checked) => {
      ledger.addFrame(index, frame, checked)
      meter.addBytes(plain)
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
  { store, pool, ledger, meter, abort, behind }: RestoreContext,
  batch: readonly FramedFile[],
): Promise<void> {
  const tasks = await allEnded(
    batch.map(async ({ key, path, framed }) => ({
      key,
      from: await storedBytes(store, key, 0, framed.stored),
      stored: framed.stored,
      length: framed.plain,
      to: path,
      name: undefined,
    })),
  )
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
  await behind.wrote(batch.reduce((sum, { framed }) => sum + framed.plain, 0))
}

/** A file of its final size: what is not written in it is a hole. */
async function openOutput(path: string, size: number, isNew: boolean) {
  const { O_RDWR, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants
  try {
    const output = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | (isNew ? O_TRUNC : 0), FILE_MODE)
    try {
      await output.truncate(size)
      return output
    } catch (error) {
      await output.close()
      throw error
    }
  } catch (error) {
    throw localFileError(error, 'write', path)
  }
}
