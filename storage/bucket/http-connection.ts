import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { SocketBody } from '../s3/socket-body.ts'

/** Longer than the heads of answers of any store. */
const LONGEST_HEAD = 64 * 1024

export interface Origin {
  readonly tls: boolean
  readonly host: string
  readonly port: number
}

/** Milliseconds: to be connected, and without any progress while something is awaited. */
export interface Patience {
  readonly connect: number
  readonly stall: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Undefined where the answer does not say how long it is: nothing of it was read, and the connection is closed. */
  readonly body: SocketBody | undefined
}

/**
 * A connection for one GET after another, whose bodies are read by `onread` into the memory that readers get. `node:http` reads in
 * pieces of 64 KiB, each memory of its own: twice the CPU time for what a restore reads. Anything but an answer of known length is left
 * to it.
 */
export class HttpConnection {
  /** Whether it has carried an answer before: then the server may have closed it meanwhile. */
  reused = false
  /** Whether anything of the present answer has come. */
  answered = false
  readonly #socket: Socket
  readonly #patience: Patience
  readonly #onIdle: (connection: HttpConnection) => void
  readonly #head = Buffer.allocUnsafeSlow(LONGEST_HEAD)
  #headLength = 0
  #body: SocketBody | undefined
  #waiting: { resolve(answer: HttpAnswer): void; reject(error: Error): void } | undefined

  /** @param onIdle told when it can carry another request; not when it is closed */
  constructor(origin: Origin, patience: Patience, onIdle: (connection: HttpConnection) => void) {
    this.#patience = patience
    this.#onIdle = onIdle
    this.#socket = this.#open(origin)
    const connecting = setTimeout(
      () => this.#fail(timeout(`no connection within ${patience.connect} ms`)),
      patience.connect,
    )
    this.#socket.once(origin.tls ? 'secureConnect' : 'connect', () => clearTimeout(connecting))
    this.#socket.once('close', () => {
      clearTimeout(connecting)
      this.#fail(closed())
    })
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('timeout', () => this.#fail(timeout(`nothing came for ${patience.stall} ms`)))
    this.#socket.on('end', () => this.#fail(closed()))
  }

  get isClosed(): boolean {
    return this.#socket.destroyed
  }

  /**
   * Sends a request without a body and resolves when the head of its answer is there.
   * @param head request line and fields, without the empty line
   */
  async request(head: string): Promise<HttpAnswer> {
    this.answered = false
    this.#headLength = 0
    this.#socket.ref()
    this.#socket.setTimeout(this.#patience.stall)
    return await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(`${head}\r\n\r\n`, 'latin1')
      this.#socket.resume()
    })
  }

  /** Ends it; what waits for an answer fails with `error`. */
  close(error: Error = closed()): void {
    this.#fail(error)
  }

  #open({ tls, host, port }: Origin): Socket {
    const onread: OnReadOpts = {
      buffer: () => this.#body?.room() ?? this.#head.subarray(this.#headLength),
      callback: (count) => this.#took(count),
    }
    if (!tls) return connect({ host, port, onread, noDelay: true, keepAlive: true })
    // The types do not know that a TLS socket takes `onread` too; its documentation does.
    const options = { host, port, onread, ...(isIP(host) ? {} : { servername: host }), ALPNProtocols: ['http/1.1'] }
    return connectTls(options).setNoDelay(true).setKeepAlive(true)
  }

  #took(count: number): boolean {
    this.answered = true
    const body = this.#body
    if (body !== undefined) {
      const wantsMore = body.took(count)
      // Who waits for a slow reader waits for no server.
      if (!wantsMore && this.#body !== undefined) this.#socket.setTimeout(0)
      return wantsMore || this.#body === undefined
    }
    if (this.#waiting === undefined) {
      this.#socket.destroy()
      return false
    }
    this.#headLength += count
    const bytes = this.#head.subarray(0, this.#headLength)
    const end = bytes.indexOf('\r\n\r\n')
    if (end >= 0) this.#readHead(bytes.toString('latin1', 0, end), bytes.subarray(end + 4))
    else if (this.#headLength === LONGEST_HEAD) this.#fail(new Error('the head of the answer does not end'))
    return true
  }

  #readHead(head: string, rest: Buffer): void {
    const { status, headers } = parseHead(head)
    const length =
      headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? Number.NaN) : Number.NaN
    const waiting = this.#waiting
    this.#waiting = undefined
    if (!Number.isSafeInteger(length) || length < rest.length) {
      this.#socket.destroy()
      waiting?.resolve({ status, headers, body: undefined })
      return
    }
    const keepsAlive = headers['connection']?.toLowerCase() !== 'close' && head.startsWith('HTTP/1.1')
    const body = new SocketBody(length, {
      resume: () => {
        this.#socket.setTimeout(this.#patience.stall)
        this.#socket.resume()
      },
      ended: () => this.#ended(keepsAlive),
      abandon: () => this.#socket.destroy(),
    })
    // An empty body has ended by now, and the connection may carry another request.
    if (length > 0) this.#body = body
    for (let left = rest; left.length > 0; ) {
      const count = left.copy(body.room())
      body.took(count)
      left = left.subarray(count)
    }
    waiting?.resolve({ status, headers, body })
  }

  #ended(keepsAlive: boolean): void {
    this.#body = undefined
    this.#headLength = 0
    if (!keepsAlive) {
      this.#socket.destroy()
      return
    }
    this.reused = true
    this.#socket.setTimeout(0)
    this.#socket.unref()
    this.#onIdle(this)
  }

  #fail(error: Error): void {
    this.#socket.destroy()
    const { reject } = this.#waiting ?? {}
    const body = this.#body
    this.#waiting = undefined
    this.#body = undefined
    reject?.(error)
    body?.destroy(error)
  }
}

function parseHead(head: string): { status: number; headers: Record<string, string> } {
  const [first = '', ...lines] = head.split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(first.split(' ')[1]), headers }
}

/** Whether the other side had ended a connection, rather than said nothing on it. */
export function wasClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

/** Names and codes by which the SDK knows what to try again. */
function closed(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}

function timeout(message: string): Error {
  return Object.assign(new Error(message), { name: 'TimeoutError' })
}
