import { combineCrc32 } from '../../model/crc32-combine.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { ObjectDigest } from '../object-digest.ts'
import { inParallel } from '../pool/in-parallel.ts'
import type { StoredFile } from '../pool/tasks.ts'
import type { CopyContext } from './backup-copy.ts'
import type { CopiedFile } from './copied-file.ts'

/** Of each batch: a request takes longer than the copying of a small file. */
const STORED_AT_ONCE = 8

/** Stores a batch: where objects are files the thread writes them itself. */
export async function copySmallFiles(
  { pool, upload, ledger, abort, behind, meter, level }: CopyContext,
  files: readonly DataFile[],
  batch: readonly number[],
): Promise<void> {
  const sources = batch.flatMap((index) => {
    const file = files[index]
    return file === undefined ? [] : [{ index, file }]
  })
  const result = await pool.run('compressFiles', {
    level,
    files: sources.map(({ index, file }) => ({
      source: { path: file.path, size: file.size, mtimeNs: file.mtimeNs, inode: file.inode },
      name: file.name,
      target: upload.localPath(String(index)),
    })),
  })
  const copied = sources.flatMap(({ index, file }, at) => {
    const stored = result.files[at]
    return stored === undefined ? [] : [{ index, stored, file }]
  })
  await inParallel(copied, STORED_AT_ONCE, abort.signal, async ({ index, stored }, stop) => {
    if (stored.bytes !== undefined) await upload.put(String(index), stored.bytes, crcOf(stored), stop)
  })
  if (abort.aborted) return
  ledger.addFiles(
    copied.map(({ index, stored, file }) => ({ index, ...copiedFile(file, stored), badPages: stored.badPages })),
  )
  for (const { file } of copied) {
    meter.addBytes(file.size)
    meter.addFile()
  }
  await behind.wrote(copied.reduce((sum, { stored }) => sum + stored.stored, 0))
}

/** CRC-32 of the object. */
function crcOf({ frame, frameLength, table, stored }: StoredFile): number {
  return combineCrc32(frame.crc, table.crc, stored - frameLength)
}

function copiedFile({ base, name, size }: DataFile, { frame, frameLength, table, stored }: StoredFile): CopiedFile {
  const digest = new ObjectDigest()
  digest.addFrame({ ...frame, stored: frameLength, plain: size })
  digest.addSeekTable({ ...table, stored: stored - frameLength })
  return { base, name, size, stored, hash: digest.crc, segmentHash: digest.hash() }
}
