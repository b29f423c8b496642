import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { listenOnLoopback } from './loopback.ts'

/** A store that answers to all requests as `answer` does. */
async function served(answer: (response: ServerResponse) => void): Promise<ObjectStore> {
  const address = await listenOnLoopback(createServer((_request, response) => answer(response)))
  const storage = `{ kind: gcs, bucket: backups, apiEndpoint: "http://${address}", stallTimeout: 5s }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  return await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
}

const give = (response: ServerResponse, text: string) =>
  void response.writeHead(200, { 'content-length': text.length }).end(text)

const read = async (store: ObjectStore) => String(await buffer(await store.get('a')))

describe('an answer to a read from Google Cloud Storage', () => {
  test('that does not come by an idle connection is not awaited by each of the others, but asked for by a new one', async () => {
    const idle: (Socket | null)[] = []
    const waiting: ServerResponse[] = []
    let late = 0
    const store = await served((response) => {
      if (idle.length === 4) {
        late += 1
        if (!idle.includes(response.socket)) give(response, 'late')
        return
      }
      waiting.push(response)
      if (waiting.length < 4) return
      idle.push(...waiting.map(({ socket }) => socket))
      for (const one of waiting) give(one, 'early')
    })
    await Promise.all(Array.from({ length: 4 }, () => read(store)))
    expect(await read(store)).toBe('late')
    expect(late).toBe(2)
  })
})

test('a small object that Google Cloud Storage does not take is given up when it is told to, and not sent again', async () => {
  const [abort, reason] = [new AbortController(), new Error('cancelled')]
  const ended: Promise<unknown>[] = []
  const store = await served((response) => {
    if (response.req.method === 'GET') {
      give(response, '{"id":"5f0c3e0a-54d7-4a0e-9d6b-0c7d1c8e6a11"}')
      return
    }
    ended.push(once(response, 'close'))
    abort.abort(reason)
  })
  const upload = await store.upload('k/0/a/')
  await expect(upload.put('0', Buffer.from('x'), undefined, abort.signal)).rejects.toBe(reason)
  await expect(upload.put('1', Buffer.from('x'), undefined, abort.signal)).rejects.toBe(reason)
  await Promise.all(ended)
  expect(ended).toHaveLength(1)
})
