import { FileStore } from '../../storage/file/file.ts'
import { pieceOf } from './upload-pieces.ts'

// A process for killed-writer.test.ts: writes an object without end, and tells the upload's id and the bytes that are kept.
const [root = '', directory = '', name = ''] = process.argv.slice(2)
const upload = await new FileStore(root).upload(directory)
const writer = await upload.open(name, 0)
for (let index = 0; ; index++) {
  await writer.write(pieceOf(index))
  process.stdout.write(`${upload.id} ${writer.kept}\n`)
}
