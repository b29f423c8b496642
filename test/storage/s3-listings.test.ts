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
  /** Pages of objects; the last one is said again and again. */
  readonly objects?: readonly string[]
  /** Of unfinished uploads. */
  readonly uploads?: readonly string[]
  /** Of the parts of one. */
  readonly parts?: readonly string[]
  /** Keys of objects that are there when they are asked for by name. */
  readonly there?: readonly string[]
}

/** A store that lists as `said`, and takes everything. */
async function listing({ objects = [''], uploads = [''], parts = [''], there = [] }: Said): Promise<ObjectStore> {
  const [objectPages, uploadPages, partPages] = [pagesOf(objects), pagesOf(uploads), pagesOf(parts)]
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
    const answer = (status: number, text = '') =>
      void response.writeHead(status, { etag: '"e"', 'content-length': text.length }).end(text)
    request.resume().on('end', () => {
      if (request.method === 'HEAD') answer(there.some((key) => pathname === `/backups/${key}`) ? 200 : 404)
      else if (pathname.endsWith('/.tabletkeeper-repository')) answer(200, MARKER)
      else if (searchParams.has('uploads'))
        answer(200, `<ListMultipartUploadsResult>${uploadPages()}</ListMultipartUploadsResult>`)
      else if (searchParams.has('list-type')) answer(200, `<ListBucketResult>${objectPages()}</ListBucketResult>`)
      else if (searchParams.has('uploadId')) answer(200, `<ListPartsResult>${partPages()}</ListPartsResult>`)
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

function pagesOf(texts: readonly string[]): () => string {
  let at = 0
  return () => texts[Math.min(at++, texts.length - 1)] ?? ''
}

const entry = (key: string) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`
/** There is more, and perhaps where. */
const more = (rest = '') => `<IsTruncated>true</IsTruncated>${rest}`

describe('an upload whose objects are listed late', () => {
  test('is committed where they are found by their names', async () => {
    const store = await listing({ objects: [entry(`${DIRECTORY}0`)], there: [`${DIRECTORY}1`, `${DIRECTORY}2`] })
    const upload = await store.upload(DIRECTORY)
    await upload.commit(['0', '1', '2'])
  })

  test('has lost what is not found so either', async () => {
    const store = await listing({ objects: [entry(`${DIRECTORY}0`)], there: [`${DIRECTORY}1`] })
    const upload = await store.upload(DIRECTORY)
    await expect(upload.commit(['0', '1', '2'])).rejects.toMatchObject({
      type: 'StorageUnavailable',
      retryable: false,
      message: expect.stringContaining(`${DIRECTORY}2`),
    })
  })
})

describe('a listing of several pages', () => {
  const object = entry(`${DIRECTORY}0`)
  const begun = (id: string) =>
    `<Upload><Key>${DIRECTORY}0</Key><UploadId>${id}</UploadId><Initiated>2099-01-01T00:00:00Z</Initiated></Upload>`
  const token = (text: string) => `<NextContinuationToken>${text}</NextContinuationToken>`
  const upload = (id: string) =>
    `<NextKeyMarker>${DIRECTORY}0</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`
  const part = (number: number) => `<Part><PartNumber>${number}</PartNumber><ETag>e</ETag><Size>1</Size></Part>`
  const marker = (number: number) => `<NextPartNumberMarker>${number}</NextPartNumberMarker>`
  const list = async (store: ObjectStore) => (await store.list(DIRECTORY)).objects.length
  const abort = async (store: ObjectStore) => await store.abortUploads(DIRECTORY)
  const goOn = async (store: ObjectStore) => {
    const writer = await (await store.upload(DIRECTORY)).open('0', 10)
    await writer.close()
  }

  test('is read to its end', async () => {
    const objects = [object + more(token('a')), entry(`${DIRECTORY}1`) + more(token('b')), entry(`${DIRECTORY}2`)]
    expect(await list(await listing({ objects }))).toBe(3)
    await abort(
      await listing({ uploads: [begun('a') + more(upload('a')), begun('b') + more(upload('b')), begun('c')] }),
    )
    const parts = [part(1) + more(marker(1)), part(2) + more(marker(2)), part(3)]
    await goOn(await listing({ uploads: [begun('a')], parts }))
  })

  test.each([
    ['of objects', 'no next page', { objects: [object + more()] }, list],
    ['of objects', 'the same page again', { objects: [object + more(token('a'))] }, list],
    ['of uploads', 'no next page', { uploads: [begun('a') + more()] }, abort],
    ['of uploads', 'the same page again', { uploads: [begun('a') + more(upload('a'))] }, abort],
    ['of parts', 'no next page', { uploads: [begun('a')], parts: [part(1) + more()] }, goOn],
    ['of parts', 'the same page again', { uploads: [begun('a')], parts: [part(1) + more(marker(1))] }, goOn],
  ])('%s that names %s is neither read for ever nor taken for whole', async (_of, _next, said: Said, read) => {
    await expect(read(await listing(said))).rejects.toMatchObject({
      type: 'StorageUnavailable',
      message: expect.stringContaining('does not say where its listing goes on'),
    })
  })
})
