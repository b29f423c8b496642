import type { Upload } from './object-store.ts'

/** `put` of an upload whose writers are as good for whole objects. */
export async function writeWhole(
  upload: Pick<Upload, 'open'>,
  name: string,
  bytes: Uint8Array,
  crc?: number,
): Promise<void> {
  const writer = await upload.open(name, 0)
  try {
    await writer.write(bytes, crc)
    await writer.finish()
  } finally {
    await writer.close()
  }
}
