import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import { Storage } from '@google-cloud/storage'
import type { GcsConfig } from '../../model/config-storage.ts'
import type { TabletkeeperError } from '../../model/errors.ts'
import { type HttpAnswer, HttpConnection, wasClosed } from '../bucket/http-connection.ts'
import {
  answerError,
  credentialsError,
  type Doing,
  type Fields,
  type GcsAnswer,
  isTransient,
  transportError,
} from './errors.ts'

/** Requests that fail are sent so often in all: with the pauses between them, a store may be away for about a quarter of a minute. */
export const ATTEMPTS = 6
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 8_000
/** What a store may ask us to wait. */
const LONGEST_WISH = 30_000

/** Requests at once: what is copied at once, and more. */
const CONNECTIONS = 64

export interface GcsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: readonly Uint8Array[]
  readonly signal?: AbortSignal | undefined
}

export interface GcsOptions {
  /** Milliseconds before what failed is tried again; each later pause is longer. */
  readonly firstPause?: number
}

/** A bucket of Google Cloud Storage by its JSON API, below a root. Credentials are the application default ones. */
export class GcsConnection {
  readonly bucket: string
  readonly description: string
  readonly #prefix: string
  readonly #config: GcsConfig
  readonly #firstPause: number
  readonly #storage: Storage
  readonly #endpoint: URL
  readonly #agent: HttpAgent
  readonly #idle: HttpConnection[] = []

  constructor(config: GcsConfig, { firstPause = FIRST_PAUSE }: GcsOptions = {}) {
    this.#config = config
    this.#firstPause = firstPause
    this.bucket = config.bucket
    this.#prefix = config.root === undefined ? '' : `${config.root}/`
    this.description = `gs://${config.bucket}${config.root === undefined ? '' : `/${config.root}`}`
    this.#storage = new Storage(config.apiEndpoint === undefined ? {} : { apiEndpoint: config.apiEndpoint })
    this.#endpoint = new URL(this.#storage.apiEndpoint)
    const options = { keepAlive: true, maxSockets: CONNECTIONS }
    this.#agent = this.#isTls ? new HttpsAgent(options) : new HttpAgent(options)
  }

  /** The name of an object in the bucket. */
  nameOf(key: string): string {
    return this.#prefix + key
  }

  /** The key of an object that the bucket names. */
  keyOf(name: string): string {
    return name.slice(this.#prefix.length)
  }

  /** The path of what the API has of an object. */
  pathOf(key: string, query: Readonly<Record<string, string>> = {}): string {
    return `/storage/v1/b/${encodeURIComponent(this.bucket)}/o/${encodeURIComponent(this.nameOf(key))}?${new URLSearchParams(query)}`
  }

  /**
   * Sends a request, again where it failed for the moment.
   * @returns any answer that is final, be it a refusal or not, and after how many attempts
   * @throws StorageUnavailable when it goes on failing; StorageDenied without credentials; the signal's reason
   */
  async ask(doing: Doing, request: GcsRequest): Promise<GcsAnswer & { readonly attempt: number }> {
    return await this.retrying(doing, request.signal, () => this.once(request))
  }

  /** The same of any request: of one attempt after another, what comes of the first that did not fail for the moment. */
  async retrying<T extends { readonly status: number; readonly headers: Fields; readonly text?: string }>(
    doing: Doing,
    signal: AbortSignal | undefined,
    send: () => Promise<T>,
  ): Promise<T & { readonly attempt: number }> {
    for (let attempt = 1; ; attempt++) {
      let failure: TabletkeeperError
      let wish: number | undefined
      try {
        const answer = await send()
        if (!isTransient(answer)) return { ...answer, attempt }
        failure = answerError(this.description, doing, answer)
        wish = Number(answer.headers['retry-after'] ?? Number.NaN) * 1000
      } catch (error) {
        signal?.throwIfAborted()
        failure = transportError(this.description, doing, error)
      }
      if (attempt === ATTEMPTS || !failure.retryable) throw failure
      await this.rest(attempt, wish, signal)
    }
  }

  /** Waits before the next attempt, longer each time. */
  async rest(attempt: number, wish = Number.NaN, signal?: AbortSignal): Promise<void> {
    const usual = Math.min(this.#firstPause * 2 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + Math.random() / 2)
    const milliseconds = wish > usual ? Math.min(wish, LONGEST_WISH) : usual
    try {
      await pause(milliseconds, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  /**
   * Sends a request once and reads its answer.
   * @throws TabletkeeperError without credentials; errors of the network as they are
   */
  async once({ method, path, headers = {}, body = [], signal }: GcsRequest): Promise<GcsAnswer> {
    const authorization = await this.#authorization()
    const { connectTimeout, stallTimeout } = this.#config
    const length = body.reduce((sum, { byteLength }) => sum + byteLength, 0)
    return await new Promise((resolve, reject) => {
      const request = (this.#isTls ? httpsRequest : httpRequest)(new URL(path, this.#endpoint), {
        agent: this.#agent,
        method,
        headers: { ...authorization, ...headers, 'content-length': length },
        timeout: connectTimeout,
        ...(signal === undefined ? {} : { signal }),
      })
      const fail = (text: string) => request.destroy(Object.assign(new Error(text), { code: 'ETIMEDOUT' }))
      request.on('timeout', () => fail('nothing came in time'))
      request.on('error', reject)
      request.on('socket', (socket) => {
        if (socket.connecting) socket.once('connect', () => socket.setTimeout(stallTimeout))
        else socket.setTimeout(stallTimeout)
      })
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        )
      })
      for (const part of body) request.write(part)
      request.end()
    })
  }

  /**
   * Sends a GET once, and gives the body of its answer as it comes.
   * @throws as `once`
   */
  async open(path: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const fields = { host: this.#endpoint.host, ...(await this.#authorization()), ...headers }
    const head = [`GET ${path} HTTP/1.1`, ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`)]
    for (;;) {
      const connection = this.#connection()
      try {
        return await connection.request(head.join('\r\n'))
      } catch (error) {
        if (!connection.reused || connection.answered) throw error
        // The server may close a connection that has been idle just when it is used again.
        if (wasClosed(error)) continue
        // One on which nothing comes any more is the first of all that have been idle: the next attempt makes a new one.
        this.#closeIdle()
        throw error
      }
    }
  }

  /** Ends its connections. */
  close(): void {
    this.#agent.destroy()
    this.#closeIdle()
  }

  #closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
  }

  get #isTls(): boolean {
    return this.#endpoint.protocol === 'https:'
  }

  #connection(): HttpConnection {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) if (!kept.isClosed) return kept
    const { hostname, port } = this.#endpoint
    const origin = {
      tls: this.#isTls,
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port || (this.#isTls ? 443 : 80)),
    }
    const patience = { connect: this.#config.connectTimeout, stall: this.#config.stallTimeout }
    return new HttpConnection(origin, patience, (connection) => {
      if (this.#idle.length < CONNECTIONS) this.#idle.push(connection)
      else connection.close()
    })
  }

  /** Nobody else may read a token on its way: to an address without TLS, which is an emulator's, none is sent. */
  async #authorization(): Promise<Readonly<Record<string, string>>> {
    if (!this.#isTls) return {}
    try {
      return await this.#storage.authClient.getRequestHeaders(this.#endpoint.href)
    } catch (error) {
      throw credentialsError(this.description, error)
    }
  }
}
