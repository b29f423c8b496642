import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { listenOnLoopback } from './loopback.ts'

// How gateways list that do not list as Amazon S3 does.

const MARKER = '{"id":"5f0c3e0a-54d7-4a0e-9d6b-0c7d1c8e6a11"}'
const DIRECTORY = 'k/0/a/'

interface Said {
  /** Of objects, to the request number `index`. */
  readonly objects?: (index: number) => string
  /** Keys of objects that are there when they are asked for by name. */
  readonly there?: readonly string[]
}

/** A store that lists as `said`, and takes everything. */
async function listing({ objects = () => '', there = [] }: Said): Promise<ObjectStore> {
  let count = 0
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
    const answer = (status: number, text = '') =>
      void response.writeHead(status, { etag: '"e"', 'content-length': text.length }).end(text)
    request.resume().on('end', () => {
      if (request.method === 'HEAD') answer(there.some((key) => pathname === `/backups/${key}`) ? 200 : 404)
      else if (pathname.endsWith('/.tabletkeeper-repository')) answer(200, MARKER)
      else if (searchParams.has('uploads')) answer(200, '<ListMultipartUploadsResult></ListMultipartUploadsResult>')
      else if (searchParams.has('list-type')) answer(200, `<ListBucketResult>${objects(count++)}</ListBucketResult>`)
      else answer(200)
    })
  })
  const address = await listenOnLoopback(server)
  process.env['AWS_ACCESS_KEY_ID'] = 'somebody'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'something'
  const storage = `{ kind: s3, bucket: backups, endpoint: "http://${address}", pathStyle: true }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  return await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
}

const entry = (key: string) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`

describe('an upload whose objects are listed late', () => {
  test('is committed where they are found by their names', async () => {
    const store = await listing({ objects: () => entry(`${DIRECTORY}0`), there: [`${DIRECTORY}1`, `${DIRECTORY}2`] })
    const upload = await store.upload(DIRECTORY)
    await upload.commit(['0', '1', '2'])
  })

  test('has lost what is not found so either', async () => {
    const store = await listing({ objects: () => entry(`${DIRECTORY}0`), there: [`${DIRECTORY}1`] })
    const upload = await store.upload(DIRECTORY)
    await expect(upload.commit(['0', '1', '2'])).rejects.toMatchObject({
      type: 'StorageUnavailable',
      retryable: false,
      message: expect.stringContaining(`${DIRECTORY}2`),
    })
  })
})
