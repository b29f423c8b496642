import { createServer, type ServerResponse } from 'node:http'
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

/** A store that answers to the request number `index` for the object `a` as `answer` does. */
async function served(answer: (response: ServerResponse, index: number) => void): Promise<Served> {
  let count = 0
  const server = createServer((request, response) => {
    if (request.url?.includes('.tabletkeeper-repository')) {
      response.writeHead(200, { 'content-length': MARKER.length }).end(MARKER)
      return
    }
    answer(response, count++)
  })
  const address = await listenOnLoopback(server)
  process.env['AWS_ACCESS_KEY_ID'] = 'somebody'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'something'
  const storage = `{ kind: s3, bucket: backups, endpoint: "http://${address}", pathStyle: true }`
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
})
