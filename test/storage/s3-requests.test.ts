import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { listenOnLoopback } from './loopback.ts'
import { ofType } from './store-under-test.ts'

// How answers are framed that the servers at hand frame otherwise than Amazon S3, and how servers end connections.

const MARKER = '{"id":"5f0c3e0a-54d7-4a0e-9d6b-0c7d1c8e6a11"}'

interface Served {
  readonly store: ObjectStore
  /** Requests for the object `a`, so far. */
  asked(): number
  /** Ends the connections that carry nothing just now. */
  endIdle(): void
}

/**
 * A store that answers to the request number `index` for the object `a` as `answer` does.
 * @param hasMarker whether it is a repository; otherwise it answers to all requests so
 */
async function served(
  answer: (response: ServerResponse, index: number) => void,
  { hasMarker = true, settings = '' } = {},
): Promise<Served> {
  let count = 0
  const server = createServer((request, response) => {
    if (hasMarker && request.url?.includes('.tabletkeeper-repository')) {
      response.writeHead(200, { 'content-length': MARKER.length }).end(MARKER)
      return
    }
    answer(response, count++)
  })
  const address = await listenOnLoopback(server)
  process.env['AWS_ACCESS_KEY_ID'] = 'somebody'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'something'
  const storage = `{ kind: s3, bucket: backups, endpoint: "http://${address}", pathStyle: true, ${settings} }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  const store = await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
  return { store, asked: () => count, endIdle: () => server.closeIdleConnections() }
}

function give(response: ServerResponse, text: string): void {
  response.writeHead(200, { etag: '"e"', 'content-length': text.length }).end(text)
}

const read = async (store: ObjectStore) => String(await buffer(await store.get('a')))

describe('an answer to a read', () => {
  test('that says what is wrong in chunks is understood', async () => {
    const { store } = await served((response) => {
      response.writeHead(404)
      response.write('<Error><Code>NoSuchKey</Code>')
      response.end('<Message>no</Message></Error>')
    })
    await expect(store.get('a')).rejects.toThrow(ofType('NotFound'))
  })

  test('that says in chunks that the bucket is not there is told from that', async () => {
    const { store } = await served((response) => {
      response.writeHead(404)
      response.write('<Error>')
      response.end('<Code>NoSuchBucket</Code></Error>')
    })
    await expect(store.get('a')).rejects.toThrow(ofType('InvalidConfig'))
  })

  test('that is the 404 of something before the store does not say that the object is missing', async () => {
    const noPage = (response: ServerResponse) =>
      void response.writeHead(404, { 'content-type': 'text/html' }).end('<html>no such page</html>')
    const { store } = await served(noPage, { hasMarker: false })
    await expect(store.get('a')).rejects.toThrow(ofType('StorageUnavailable'))
    await expect(store.list('')).rejects.toThrow(ofType('StorageUnavailable'))
  })

  test('that is a failure of the server is asked for again, once for each', async () => {
    const { store, asked } = await served((response, index) => {
      if (index >= 2) give(response, 'whole')
      else response.writeHead(500).write('<Error>', () => response.end())
    })
    expect(await read(store)).toBe('whole')
    expect(asked()).toBe(3)
  })

  test('that comes in chunks itself is read too', async () => {
    const { store } = await served((response) => {
      response.writeHead(200, { etag: '"e"', 'x-amz-meta-x': 'y' })
      response.write('in ')
      response.end('chunks')
    })
    expect(await read(store)).toBe('in chunks')
  })

  test('comes by a connection that is used again, or by a new one when the server has ended it', async () => {
    const { store, endIdle } = await served((response, index) => give(response, `answer ${index}`))
    for (const index of [0, 1, 2]) {
      expect(await read(store)).toBe(`answer ${index}`)
      if (index === 1) endIdle()
    }
  })

  test('that does not come by an idle connection is not awaited by each of the others, but asked for by a new one', async () => {
    const idle: (Socket | null)[] = []
    const waiting: ServerResponse[] = []
    const answer = (response: ServerResponse, index: number) => {
      if (idle.length === 4) {
        if (!idle.includes(response.socket)) give(response, `answer ${index}`)
        return
      }
      waiting.push(response)
      if (waiting.length < 4) return
      idle.push(...waiting.map(({ socket }) => socket))
      for (const one of waiting) give(one, 'early')
    }
    const { store, asked } = await served(answer, { settings: 'stallTimeout: 5s' })
    await Promise.all(Array.from({ length: 4 }, () => read(store)))
    expect(await read(store)).toBe('answer 5')
    expect(asked()).toBe(6)
  })
})

describe('a read that breaks off', () => {
  /** Bodies give what has come by whole pieces of this size. */
  const PIECE = 1024 * 1024
  const OBJECT = randomBytes(PIECE + 1000)

  /** Reads an object of which the first answer has no more than was read so far, with some bytes that nobody got. */
  async function readOn(again: (response: ServerResponse) => void): Promise<Buffer> {
    const first: ServerResponse[] = []
    const { store } = await served((response, index) => {
      if (index > 0) {
        again(response)
        return
      }
      first.push(response)
      response.writeHead(200, { etag: '"e"', 'content-length': OBJECT.length }).write(OBJECT.subarray(0, PIECE + 5))
    })
    const pieces: Buffer[] = []
    for await (const piece of await store.get('a')) {
      pieces.push(piece)
      for (const response of first) response.destroy()
    }
    return Buffer.concat(pieces)
  }

  const giving = (bytes: Buffer, range: string) => (response: ServerResponse) =>
    void response.writeHead(206, { etag: '"e"', 'content-length': bytes.length, 'content-range': range }).end(bytes)

  test('is gone on with where it ended', async () => {
    const rest = giving(OBJECT.subarray(PIECE), `bytes ${PIECE}-${OBJECT.length - 1}/${OBJECT.length}`)
    expect(OBJECT.equals(await readOn(rest))).toBe(true)
  })

  test('is begun anew without a range where nothing was read of it', async () => {
    const { store } = await served((response, index) => {
      if (index > 0) give(response, 'whole')
      else response.writeHead(200, { etag: '"e"', 'content-length': 5 }).write('wh', () => response.destroy())
    })
    expect(await read(store)).toBe('whole')
  })

  test.each([
    [
      'all of the object',
      (response: ServerResponse) =>
        void response.writeHead(200, { etag: '"e"', 'content-length': OBJECT.length }).end(OBJECT),
    ],
    ['as many bytes of its beginning', giving(OBJECT.subarray(0, 1000), `bytes 0-999/${OBJECT.length}`)],
    ['more than is left', giving(randomBytes(1001), `bytes ${PIECE}-${PIECE + 1000}/${PIECE + 1001}`)],
  ])('is not gone on with by %s', async (_, again) => {
    await expect(readOn(again)).rejects.toMatchObject({ type: 'StorageUnavailable', retryable: true })
  })
})

describe('a read of a range', () => {
  const readRange = async (store: ObjectStore) => String(await buffer(await store.get('a', { start: 2, end: 5 })))
  const answering = (text: string, range: string) =>
    served((response) =>
      response.writeHead(206, { etag: '"e"', 'content-length': text.length, 'content-range': range }).end(text),
    )

  test('takes an answer that does not say how large the object is', async () => {
    const { store } = await answering('2345', 'bytes 2-5/*')
    expect(await readRange(store)).toBe('2345')
  })

  test.each([
    ['another range', '0123', 'bytes 0-3/10'],
    ['more than was asked for', '23456789', 'bytes 2-9/10'],
  ])('takes no answer of %s', async (_, text, range) => {
    const { store } = await answering(text, range)
    await expect(readRange(store)).rejects.toMatchObject({ type: 'StorageUnavailable', retryable: true })
  })
})

test('a small object that is not taken is given up when it is told to, and not sent again', async () => {
  const [abort, reason] = [new AbortController(), new Error('cancelled')]
  const ended: Promise<unknown>[] = []
  const { store, asked } = await served((response) => {
    ended.push(once(response, 'close'))
    abort.abort(reason)
  })
  const upload = await store.upload('k/0/a/')
  await expect(upload.put('0', Buffer.from('x'), undefined, abort.signal)).rejects.toBe(reason)
  await expect(upload.put('1', Buffer.from('x'), undefined, abort.signal)).rejects.toBe(reason)
  await Promise.all(ended)
  expect(asked()).toBe(1)
})
