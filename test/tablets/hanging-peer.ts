import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * A way to a mysqld without TLS on this machine, whose disk seems to stall: it lets everybody log in and answers, up to the question that
 * waits for a stuck receiver.
 * @returns its port
 */
export async function hangingPeer(port: number): Promise<number> {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        for (const one of [client, upstream]) one.destroy()
      })
    }
    upstream.pipe(client)
    client.on('data', (bytes) => {
      if (bytes.includes('SHOW REPLICA STATUS')) client.pause()
      else upstream.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
