import { crc32c } from '@node-rs/crc32'
import type { GcsConfig } from '../../model/config-storage.ts'
import { GcsStore } from '../../storage/gcs/gcs.ts'
import { peakMebibytes } from '../engine/peak-memory.ts'

// A process for gcs-processes.test.ts: stores an object of so many mebibytes, reads it, and tells what memory that took, in MiB.
const [text = '', size = ''] = process.argv.slice(2)
const config: GcsConfig = JSON.parse(text)
const MEBIBYTE = 1024 * 1024
const store = new GcsStore(config)
const upload = await store.upload('k/0/a/')
const writer = await upload.open('0', 0)
let crc = 0
for (let index = 0; index < Number(size); index++) {
  const piece = Buffer.alloc(MEBIBYTE, index)
  crc = crc32c(piece, crc)
  await writer.write(piece)
}
await writer.finish()
await writer.close()
await upload.commit(['0'])
let read = 0
for await (const bytes of await store.get('k/0/a/0')) read = crc32c(bytes, read)
store.close()
process.stdout.write(JSON.stringify({ same: crc === read, memory: await peakMebibytes() }))
