import type { DataFile } from '../mysql/data-directory.ts'
import type { Upload } from '../storage/object-store.ts'
import type { CopyContext } from './backup-copy.ts'
import type { CopiedFile } from './copied-file.ts'
import { inParallel } from './in-parallel.ts'
import { ObjectDigest } from './object-digest.ts'
import type { StoredFile } from './tasks.ts'

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
  await inParallel(copied, STORED_AT_ONCE, abort.signal, async ({ index, stored: { bytes } }) => {
    if (bytes !== undefined) await storeWhole(upload, index, bytes)
  })
  ledger.addFiles(
    copied.map(({ index, stored, file }) => ({ index, ...copiedFile(file, stored), badPages: stored.badPages })),
  )
  for (const { file } of copied) {
    meter.addBytes(file.size)
    meter.addFile()
  }
  await behind.wrote(copied.reduce((sum, { stored }) => sum + stored.stored, 0))
}

async function storeWhole(upload: Upload, index: number, bytes: Uint8Array): Promise<void> {
  const writer = await upload.open(String(index), 0)
  try {
    await writer.write(bytes)
    await writer.finish()
  } finally {
    await writer.close()
  }
}

function copiedFile({ base, name, size }: DataFile, { frame, frameLength, table, stored }: StoredFile): CopiedFile {
  const digest = new ObjectDigest()
  digest.addFrame({ ...frame, stored: frameLength, plain: size })
  digest.addSeekTable({ ...table, stored: stored - frameLength })
  return { base, name, size, stored, hash: digest.crc, segmentHash: digest.hash() }
}
