import { once } from 'node:events'
import { createServer, type ServerHttp2Session } from 'node:http2'
import { expect, test, vi } from 'vitest'
import { askBinaryLogs } from '../../client/catch-up.ts'
import { MINIMAL, tablet } from '../model/minimal-config.ts'

test('who takes calls to Temporal and never answers them is not waited for: it is not known who can catch up', async () => {
  const taken: string[] = []
  await using proxy = await swallowingProxy(taken)
  vi.stubEnv('TEMPORAL_ADDRESS', proxy.address)
  try {
    expect(await askBinaryLogs([tablet(MINIMAL)], { encryptionKeyFiles: [] })).toBeUndefined()
  } finally {
    vi.unstubAllEnvs()
  }
  expect(taken).toEqual(['GetSystemInfo', 'StartWorkflowExecution'])
})

/** It answers the first call of a connection, so that a client counts as connected, and no other. */
async function swallowingProxy(taken: string[]) {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    const call = String(headers[':path']).split('/').at(-1) ?? ''
    taken.push(call)
    if (call !== 'GetSystemInfo') return
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    // An empty message: not compressed, of no bytes.
    stream.end(Buffer.alloc(5))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return {
    address: `127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
