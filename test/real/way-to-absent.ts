import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A way to a server on this machine that may be away for a while. */
export interface WayToAbsent {
  readonly endpoint: string
  /** From now on it is away: the first connection is refused, the others wait for its return, however long that takes. */
  close(): void
  /** Resolves when one was refused. */
  readonly refused: Promise<void>
  /** It is back. */
  open(): void
}

/** Until the running test ends. */
export async function startWayToAbsent(target: string): Promise<WayToAbsent> {
  const port = Number(new URL(target).port)
  const refused = Promise.withResolvers<void>()
  const back = Promise.withResolvers<void>()
  const sockets = new Set<Socket>()
  let [isClosed, hasRefused] = [false, false]
  const pass = (client: Socket): void => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        for (const one of [client, upstream]) one.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
  }
  const server = createServer((client) => {
    if (!isClosed) return pass(client)
    client.on('error', () => {})
    if (hasRefused) {
      sockets.add(client)
      void back.promise.then(() => pass(client))
      return
    }
    hasRefused = true
    client.destroy()
    refused.resolve()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port: own } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${own}`,
    close: () => {
      isClosed = true
    },
    refused: refused.promise,
    open: () => {
      isClosed = false
      back.resolve()
    },
  }
}
