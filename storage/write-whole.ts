import type { Upload } from './object-store.ts'

/** `put` of an upload whose writers are as good for whole objects. One that was given up is not finished. */
export async function writeWhole(
  upload: Pick<Upload, 'open'>,
  name: string,
  bytes: Uint8Array,
  crc?: number,
  signal?: AbortSignal,
): Promise<void> {
  const writer = await upload.open(name, 0, signal)
  try {
    await writer.write(bytes, crc)
    signal?.throwIfAborted()
    await writer.finish()
  } finally {
    await writer.close()
  }
}
