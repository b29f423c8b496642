import type { Readable } from 'node:stream'
import { type HttpAnswer, HttpConnection, type Origin, type Patience, wasClosed } from '../bucket/http-connection.ts'

/** A request that the SDK has signed. */
export interface SignedRequest {
  readonly method: string
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>
  readonly headers: Readonly<Record<string, string>>
}

interface Options {
  readonly abortSignal?: unknown
  readonly requestTimeout?: number
}

interface Answer {
  readonly response: {
    readonly statusCode: number
    readonly headers: Record<string, string>
    readonly body?: Readable
  }
}

/** How the SDK sends requests. */
interface Sender<Request> {
  handle(request: Request, options?: Options): Promise<Answer>
  destroy?: () => void
}

/** Connections for reading that are kept open for the next object. */
const MOST_IDLE = 64

/**
 * Sends what the SDK has signed: reading objects over connections of our own, which cost half of the CPU time, and everything else as
 * the SDK does. What the store answers only when it has put an object together is waited for with more patience.
 */
export class S3Requests<Request extends SignedRequest> {
  readonly metadata = { handlerProtocol: 'http/1.1' }
  /** How many requests were sent, attempts that failed included. */
  sent = 0
  readonly #sender: Sender<Request>
  readonly #patient: Sender<Request>
  readonly #patience: Patience
  readonly #idle: HttpConnection[] = []

  constructor(sender: Sender<Request>, patient: Sender<Request>, patience: Patience) {
    this.#sender = sender
    this.#patient = patient
    this.#patience = patience
  }

  async handle(request: Request, options: Options = {}): Promise<Answer> {
    this.sent += 1
    if (isPutTogether(request)) return await this.#patient.handle(request, options)
    if (!isReading(request)) return await this.#sender.handle(request, options)
    const answer = await this.#read(
      request,
      options.abortSignal instanceof AbortSignal ? options.abortSignal : undefined,
    )
    const { status, headers, body } = answer
    if (body !== undefined) return { response: { statusCode: status, headers: { ...headers }, body } }
    // Failures of the server are known by their status alone; what else has no length is asked again, to read what it says.
    if (status >= 500) return { response: { statusCode: status, headers: { ...headers } } }
    return await this.#sender.handle(request, options)
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {}
  }

  destroy(): void {
    this.#closeIdle()
    this.#sender.destroy?.()
    this.#patient.destroy?.()
  }

  async #read(request: SignedRequest, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    for (;;) {
      const connection = this.#connectionFor(request)
      const abort = () => connection.close(aborted())
      signal?.addEventListener('abort', abort, { once: true })
      try {
        if (signal?.aborted) throw aborted()
        return await connection.request(headOf(request))
      } catch (error) {
        if (!connection.reused || connection.answered || signal?.aborted) throw error
        // The server may close a connection that has been idle just when it is used again.
        if (wasClosed(error)) continue
        // One on which nothing comes any more is the first of all that have been idle: the next attempt makes a new one.
        this.#closeIdle()
        throw error
      } finally {
        signal?.removeEventListener('abort', abort)
      }
    }
  }

  #closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
  }

  /** All requests of a store go to one origin: its bucket's. */
  #connectionFor(request: SignedRequest): HttpConnection {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (!kept.isClosed) return kept
    }
    return new HttpConnection(originOf(request), this.#patience, (connection) => {
      if (this.#idle.length < MOST_IDLE) this.#idle.push(connection)
      else connection.close()
    })
  }
}

/** The end of a multipart upload, and copies within the store. */
function isPutTogether({ method, query, headers }: SignedRequest): boolean {
  return (method === 'POST' && query?.['uploadId'] !== undefined) || headers['x-amz-copy-source'] !== undefined
}

function isReading({ method, query = {} }: SignedRequest): boolean {
  return method === 'GET' && query['x-id'] === 'GetObject' && Object.keys(query).length === 1
}

function originOf({ protocol, hostname, port }: SignedRequest): Origin {
  const tls = protocol === 'https:'
  // An IPv6 address is in brackets.
  return { tls, host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port ?? (tls ? 443 : 80) }
}

function headOf({ method, path, query = {}, headers }: SignedRequest): string {
  const words = Object.entries(query).map(([key, value]) => `${key}=${value}`)
  return [
    `${method} ${path}?${words.join('&')} HTTP/1.1`,
    ...Object.entries(headers).map(([key, value]) => `${key}: ${value}`),
  ].join('\r\n')
}

function aborted(): Error {
  return Object.assign(new Error('the request was aborted'), { name: 'AbortError' })
}
