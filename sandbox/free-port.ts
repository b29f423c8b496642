import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'

export interface PortRange {
  readonly lowest: number
  readonly highest: number
}

/** What Linux gives to outgoing connections unless it is told otherwise. */
const USUAL_EPHEMERAL: PortRange = { lowest: 32_768, highest: 60_999 }
/** Several test processes take hundreds of ports each, at random. */
const ENOUGH = 2_000

/**
 * A TCP port of 127.0.0.1 on which nobody listens, and which nobody else is given while this process lives. It lies outside
 * the range that the kernel gives to outgoing connections, so that a server which is stopped for a while finds it free
 * again.
 */
export async function freePort(): Promise<number> {
  const { lowest, highest } = rangeBeside(await ephemeralRange())
  for (;;) {
    const port = randomInt(lowest, highest + 1)
    const reservation = await reserve(port)
    if (reservation === undefined) continue
    if (await isFree(port)) return port
    reservation.close()
  }
}

/** Ports that the kernel leaves alone; where it leaves too few, the usual ones. Below 10100 there are some that `fetch` refuses. */
export function rangeBeside(ephemeral: PortRange): PortRange {
  const usual = { lowest: 18_000, highest: 31_999 }
  const candidates = [
    { ...usual, highest: Math.min(usual.highest, ephemeral.lowest - 1) },
    { lowest: 10_100, highest: Math.min(usual.highest, ephemeral.lowest - 1) },
    { lowest: Math.max(usual.lowest, ephemeral.highest + 1), highest: 65_535 },
  ]
  return candidates.find(({ lowest, highest }) => highest - lowest >= ENOUGH) ?? usual
}

async function ephemeralRange(): Promise<PortRange> {
  const text = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '')
  const [lowest, highest] = text.trim().split(/\s+/).map(Number)
  return lowest && highest ? { lowest, highest } : USUAL_EPHEMERAL
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
