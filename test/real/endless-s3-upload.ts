import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import { pieceOf } from '../storage/upload-pieces.ts'

// A process for s3-uploads.ts: writes an object without end, and tells the upload's id and the bytes that are kept.
const [kind = '', endpoint = '', bucket = '', root = '', directory = '', name = ''] = process.argv.slice(2)
const storage = `{ kind: ${kind}, bucket: ${bucket}, root: "${root}", endpoint: "${endpoint}", pathStyle: true }`
const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
const store = await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
const upload = await store.upload(directory)
const writer = await upload.open(name, 0)
let told = -1
for (let index = 0; ; index++) {
  await writer.write(pieceOf(index))
  if (writer.kept === told) continue
  told = writer.kept
  process.stdout.write(`${upload.id} ${told}\n`)
}
