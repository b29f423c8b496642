import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { listenOnLoopback } from '../storage/loopback.ts'

/** What goes wrong with one request. */
export type Fault =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body?: string
    }
  /** The connection breaks when so many bytes of the request, or of its answer, have passed. */
  | { readonly kind: 'cut-request' | 'cut-answer'; readonly after: number }
  /** All is done, and nobody hears of it. */
  | { readonly kind: 'lose-answer' }
  /** One byte of the request, or of its answer, passes as another. */
  | { readonly kind: 'flip-request' | 'flip-answer'; readonly at: number }
  | { readonly kind: 'stall' }

export interface Passed {
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly bytes: number
}

export interface Proxy {
  readonly endpoint: string
  /** Requests that it has got, and how large they were said to be. */
  readonly passed: Passed[]
  /** Asked of each request; a fault that it names happens. */
  fault: (request: Passed) => Fault | undefined
}

/** An HTTP server before another, until the running test ends. */
export async function startProxy(upstream: string): Promise<Proxy> {
  const server = createServer((request, response) => {
    const passed = {
      method: request.method ?? '',
      path: request.url ?? '',
      range: request.headers['content-range'],
      bytes: Number(request.headers['content-length'] ?? 0),
    }
    proxy.passed.push(passed)
    pass(upstream, request, response, proxy.fault(passed))
  })
  const address = await listenOnLoopback(server)
  const proxy: Proxy = { endpoint: `http://${address}`, passed: [], fault: () => undefined }
  return proxy
}

function pass(upstream: string, request: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
  if (fault?.kind === 'stall') return
  if (fault?.kind === 'answer') {
    request.resume()
    request.on('end', () => response.writeHead(fault.status, fault.headers).end(fault.body))
    return
  }
  // An address that a server tells is its own: through here it is not changed.
  const headers = { ...request.headers }
  const inner = httpRequest(`${upstream}${request.url}`, { method: request.method ?? 'GET', headers, agent: false })
  const breakOff = async () => {
    if (fault?.kind === 'cut-request') await arrived(`${upstream}${request.url}`, fault.after)
    inner.destroy()
    request.socket.destroy()
  }
  const way = fault?.kind.endsWith('request') ? bytesWith(fault, breakOff) : new Transform(PASS)
  request.pipe(way).pipe(inner)
  inner.on('error', () => response.destroy())
  inner.on('response', (answer) => {
    if (fault?.kind === 'lose-answer') {
      answer.resume()
      answer.on('end', breakOff)
      return
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    const back = fault?.kind.endsWith('answer') ? bytesWith(fault, breakOff) : new Transform(PASS)
    answer.pipe(back).pipe(response)
  })
}

/** Waits until a resumable upload has what was sent of it, as far as it keeps that. */
async function arrived(session: string, bytes: number): Promise<void> {
  const kept = bytes - (bytes % (256 * 1024))
  await waitUntil(`${kept} bytes have arrived`, async () => {
    const answer = await fetch(session, {
      method: 'PUT',
      headers: { 'content-range': 'bytes */*' },
      redirect: 'manual',
    })
    return Number(/-(\d+)$/.exec(answer.headers.get('range') ?? '')?.[1] ?? 0) + 1 >= kept
  })
}

const PASS = {
  transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void) {
    done(null, chunk)
  },
}

function bytesWith(fault: Fault, breakOff: () => Promise<void>): Transform {
  let count = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const start = count
      count += chunk.length
      if ('after' in fault && count > fault.after) {
        // What went before it arrives.
        this.push(chunk.subarray(0, Math.max(0, fault.after - start)))
        void breakOff()
        return
      }
      const bytes = Buffer.from(chunk)
      if ('at' in fault && start <= fault.at && fault.at < count)
        bytes[fault.at - start] = ~(bytes[fault.at - start] ?? 0) & 0xff
      done(null, bytes)
    },
  })
}
