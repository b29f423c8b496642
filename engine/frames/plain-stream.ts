import { addAbortSignal, pipeline, type Readable } from 'node:stream'
import { isError, messageOf, TabletkeeperError } from '../../model/errors.ts'
import type { ObjectKey, ObjectStore } from '../../storage/object-store.ts'
import { closed } from '../closed.ts'
import { Tally } from '../tally.ts'
import type { Decompression } from './decompressors.ts'

/** An object that is one compressed stream, or the file as it is, as Vitess makes them. */
export interface StreamedObject {
  readonly key: ObjectKey
  /** Bytes in storage. */
  readonly storedSize: number
  /** CRC-32 of the stored bytes, 8 hex digits. */
  readonly hash: string
}

export interface StreamReading {
  readonly store: ObjectStore
  readonly decompression: Decompression
  readonly signal: AbortSignal
  /** Told of stored bytes as they are read. */
  readonly seen: (bytes: number) => void
}

/**
 * The plain bytes of an object. It ends well only when the stored ones were those of the MANIFEST. Nothing runs any more when it has ended.
 * @throws CorruptBackup naming the object; the errors of the store; the signal's reason
 */
export async function* plainBytes(object: StreamedObject, reading: StreamReading): AsyncGenerator<Buffer> {
  const { key, storedSize, hash } = object
  const { store, decompression, signal, seen } = reading
  const body = await openObject(store, key)
  const stored = new Tally(seen)
  // Vitess's zstd makes no bytes at all of an empty file.
  const stages = storedSize === 0 ? [stored] : [stored, ...decompression()]
  const last = stages.at(-1) ?? stored
  try {
    // Whatever fails destroys the last stage with its error, which the loop then throws. Nothing may be awaited before: the body can fail.
    pipeline([body, ...stages], () => {})
    addAbortSignal(signal, body)
    yield* last
  } catch (error) {
    signal.throwIfAborted()
    if (isError(error)) throw error
    throw new TabletkeeperError('CorruptBackup', `${key} cannot be decompressed: ${messageOf(error)}`, { cause: error })
  } finally {
    body.destroy()
    await closed(body)
  }
  if (stored.hash !== hash) {
    throw new TabletkeeperError('CorruptBackup', `${key} has CRC-32 ${stored.hash} instead of ${hash}`)
  }
}

async function openObject(store: ObjectStore, key: ObjectKey): Promise<Readable> {
  try {
    return await store.get(key)
  } catch (error) {
    if (!isError(error, 'NotFound')) throw error
    throw new TabletkeeperError('CorruptBackup', `${key} is missing in storage`, { cause: error })
  }
}
