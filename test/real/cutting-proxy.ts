import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** What happens to a connection when so many bytes have gone a way; the end of them still arrives. */
export interface Fault {
  /** From the server to us, or from us to the server. */
  readonly way: 'answer' | 'request'
  readonly after: number
  /** The connection breaks, nothing goes through any more, or one byte becomes another. */
  readonly kind: 'cut' | 'stall' | 'damage'
}

export interface CuttingProxy {
  readonly endpoint: string
  /** Of the next connections, in their order; those after them are sound. */
  readonly faults: (Fault | undefined)[]
  /** Connections that were made through it. */
  readonly connections: number
  /** Called when a fault has happened; a cut comes when it has resolved. */
  onFault: () => unknown
}

/** A way to a server on this machine that breaks where a test wants it to. */
export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const faults: (Fault | undefined)[] = []
  const open = new Set<Socket>()
  let connections = 0
  const server = createServer((client) => {
    connections += 1
    const fault = faults.shift()
    const upstream = connect(Number(new URL(target).port), '127.0.0.1')
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        for (const one of [client, upstream]) one.destroy()
      })
    }
    const happened = async ({ kind }: Fault): Promise<void> => {
      await proxy.onFault()
      // Half a moment, so that what was written arrives.
      if (kind === 'cut') setTimeout(() => client.destroy(), 20)
    }
    const pass = (from: Socket, to: Socket, own: Fault | undefined) => {
      let left = own?.after ?? Number.POSITIVE_INFINITY
      from.on('data', (bytes) => {
        if (left <= 0 && own?.kind !== 'damage') return
        if (own?.kind === 'damage') damage(bytes, left)
        to.write(own?.kind === 'damage' ? bytes : bytes.subarray(0, left))
        left -= bytes.length
        if (left > 0 || own === undefined || own.kind === 'damage') return
        void happened(own)
      })
    }
    pass(upstream, client, fault?.way === 'answer' ? fault : undefined)
    pass(client, upstream, fault?.way === 'request' ? fault : undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const proxy: CuttingProxy = {
    endpoint: `http://127.0.0.1:${port}`,
    faults,
    get connections() {
      return connections
    },
    onFault: () => {},
  }
  return proxy
}

/** Turns the bits of one byte, where `bytes` has it. */
function damage(bytes: Buffer, at: number): void {
  if (0 <= at && at < bytes.length) bytes.writeUInt8(255 - bytes.readUInt8(at), at)
}
