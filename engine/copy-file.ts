import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import type { DataFile } from '../mysql/data-directory.ts'
import type { ObjectKey, ObjectStore } from '../storage/object-store.ts'
import { closed } from './closed.ts'
import type { CopiedFile } from './copied-file.ts'
import { openSource } from './source-file.ts'
import { Tally } from './tally.ts'

const CHUNK = 256 * 1024

export interface FileCopy {
  readonly file: DataFile
  readonly key: ObjectKey
  readonly store: ObjectStore
  readonly level: number
  readonly signal: AbortSignal
  /** Told of plain bytes as they are read. */
  readonly seen: (bytes: number) => void
}

/**
 * Stores a file as one zstd stream. Nothing runs any more when this settles.
 * @throws FenceBroken, Refused (as `openSource`), or the errors of the store
 */
export async function copyFile({ file, key, store, level, signal, seen }: FileCopy): Promise<CopiedFile> {
  const compressor = createZstdCompress({
    chunkSize: CHUNK,
    pledgedSrcSize: file.size,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
  const tally = new Tally()
  const source = await openSource(file, seen)
  const flow = pipeline(source, compressor, tally)
  // A failure anywhere reaches the store through the body, so the store's is the error that tells what happened.
  const [stored] = await Promise.allSettled([store.put(key, tally, { signal }), flow])
  source.destroy()
  await closed(source)
  if (stored.status === 'rejected') throw stored.reason
  return { base: file.base, name: file.name, hash: tally.hash, size: file.size, stored: stored.value }
}
