import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'

const LOWEST = 18_000
const HIGHEST = 31_999

/**
 * A TCP port of 127.0.0.1 on which nobody listens, and which nobody else is given while this process lives. It lies below
 * the range that the kernel gives to outgoing connections, so that a server which is stopped for a while finds it free
 * again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST + 1)
    const reservation = await reserve(port)
    if (reservation === undefined) continue
    if (await isFree(port)) return port
    reservation.close()
  }
}

/** By a name in the kernel (an abstract socket, unix(7)) that one process can hold, and that goes with it. */
async function reserve(port: number): Promise<Server | undefined> {
  const holder = createServer().unref()
  try {
    holder.listen(`\0tabletkeeper-port-${port}`)
    await once(holder, 'listening')
    return holder
  } catch {
    return undefined
  }
}

/** Whether somebody listens on `port` of 127.0.0.1. Asked by connecting: who is about to listen there finds it free. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Whether one could listen on `port` of 127.0.0.1 now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
