import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'

// A process for s3-broken-way.test.ts, which trusts what its environment says: stores an object of several parts and reads it.
const [endpoint = ''] = process.argv.slice(2)
const admin = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true })
await admin.send(new CreateBucketCommand({ Bucket: 'secure' }))
const storage = `{ kind: s3, bucket: secure, endpoint: "${endpoint}", pathStyle: true }`
const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
const store = await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
const bytes = randomBytes(20_000_000)
const upload = await store.upload('k/0/a/')
const writer = await upload.open('0', 0)
await writer.write(bytes)
await writer.finish()
await upload.commit(['0'])
const parts = await Promise.all(
  [0, 1, 2, 3].map(async (part) =>
    buffer(await store.get('k/0/a/0', { start: part * 5_000_000, end: (part + 1) * 5_000_000 - 1 })),
  ),
)
const isSame = bytes.equals(Buffer.concat(parts)) && bytes.equals(await buffer(await store.get('k/0/a/0')))
process.stdout.write(isSame ? 'the same\n' : 'something else\n')
