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
