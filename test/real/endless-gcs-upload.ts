import type { GcsConfig } from '../../model/config-storage.ts'
import { GcsStore } from '../../storage/gcs/gcs.ts'
import { pieceOf } from '../storage/upload-pieces.ts'

// A process for gcs-processes.test.ts: writes an object without end, and tells the upload's id and the bytes that are kept of it.
const [text = '', directory = ''] = process.argv.slice(2)
const config: GcsConfig = JSON.parse(text)
const upload = await new GcsStore(config).upload(directory)
const writer = await upload.open('0', 0)
for (let index = 0; ; index++) {
  await writer.write(pieceOf(index))
  process.stdout.write(`${upload.id} ${writer.kept}\n`)
}
