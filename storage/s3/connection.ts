import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { S3Config } from '../../model/config-storage.ts'
import { S3Encryption } from './encryption.ts'
import { isMissing, isOfCredentials, s3Error } from './errors.ts'
import { S3Requests } from './requests.ts'
import { ATTEMPTS, S3Retries } from './retries.ts'

/** At once; each part and each range that is on its way has one. */
const CONNECTIONS = 64
/** A store puts terabytes together before it answers. */
const PATIENT = 15 * 60_000

/** Passed on to who reads the files of profiles: the SDK would keep what was in them for as long as the process lives. */
const READS_FILES_ANEW = { ignoreCache: true }

/** What a call does, for messages; the store and the bucket are known. */
export interface Doing {
  readonly doing: string
  readonly right: string
  /** Of an object; without it the right is one on the bucket. */
  readonly key?: string
}

/** A bucket of a store of Amazon S3's protocol, and a root in it. */
export class S3Connection {
  /** `s3://backups/prod`, for people. */
  readonly description: string
  readonly bucket: string
  readonly config: S3Config
  readonly encryption: S3Encryption
  /** What the keys of all objects start with: empty, or ending in `/`. */
  readonly #root: string
  #client: S3Client
  readonly #requests: S3Requests<Parameters<S3Client['config']['requestHandler']['handle']>[0]>
  #hasAnswered = false
  #checksCrc = false

  /** @param bucket overrides that of the configuration */
  constructor(config: S3Config, bucket = config.bucket ?? '') {
    this.config = config
    this.bucket = bucket
    this.#root = config.root === undefined ? '' : `${config.root}/`
    this.description = `${config.kind}://${bucket}${config.root === undefined ? '' : `/${config.root}`}`
    this.encryption = new S3Encryption(config.encryption)
    const timeouts = { connectionTimeout: config.connectTimeout, socketTimeout: config.stallTimeout }
    const patience = { connect: config.connectTimeout, stall: config.stallTimeout }
    this.#requests = new S3Requests(
      senderWith(timeouts),
      senderWith({ ...timeouts, socketTimeout: Math.max(PATIENT, config.stallTimeout) }),
      patience,
    )
    this.#client = this.#newClient()
  }

  /** How many requests were sent so far. */
  get requests(): number {
    return this.#requests.sent
  }

  /** The key in the bucket of one below the root. */
  keyOf(key: string): string {
    return this.#root + key
  }

  /** The key below the root of one in the bucket. */
  nameOf(key: string): string {
    return key.slice(this.#root.length)
  }

  /**
   * Asks the store.
   * @throws what it answers as the contract of stores has it
   */
  async ask<T>(doing: Doing, question: (client: S3Client) => Promise<T>): Promise<T> {
    try {
      return await this.try(question)
    } catch (error) {
      throw this.error(error, doing)
    }
  }

  /** As `ask`; undefined where there is no such object. */
  async find<T>(doing: Doing, question: (client: S3Client) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.try(question)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw this.error(error, doing)
    }
  }

  /** As `ask`, with the errors of the SDK. */
  async try<T>(question: (client: S3Client) => Promise<T>): Promise<T> {
    const client = this.#client
    try {
      const answer = await question(client)
      this.#hasAnswered = true
      return answer
    } catch (error) {
      // A client asks only once for credentials that do not say when they end: the next one finds what somebody has renewed. The old one is
      // not ended, as both send by the same connections.
      if (isOfCredentials(error) && this.#client === client) this.#client = this.#newClient()
      throw error
    }
  }

  error(error: unknown, { doing, right, key }: Doing) {
    return s3Error(error, {
      store: this.description,
      doing,
      right,
      resource: key === undefined ? this.bucket : `${this.bucket}/${this.keyOf(key)}`,
      ofObject: key !== undefined,
      hasAnswered: this.#hasAnswered,
    })
  }

  /**
   * What the store says that it has received.
   * @param sent CRC-32, as `encodedCrc` gives it
   * @throws StorageUnavailable when it is something else
   */
  checkReceived(sent: string | undefined, received: string | undefined, doing: Doing): void {
    if (sent === undefined || received === undefined) return
    if (sent !== received)
      throw this.error(Object.assign(new Error('the store has received other bytes'), { name: 'BadDigest' }), doing)
    // Who tells the checksum has calculated it, and so refuses what does not match.
    this.#checksCrc = true
  }

  close(): void {
    this.#client.destroy()
  }

  #newClient(): S3Client {
    const client = new S3Client({ ...clientConfig(this.config), ...READS_FILES_ANEW, requestHandler: this.#requests })
    client.middlewareStack.add(
      (next) => async (args) => {
        if (this.#mayLeaveUnsigned(args)) headersOf(args.request)['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
        return await next(args)
      },
      { step: 'build', name: 'tabletkeeperPayload' },
    )
    return client
  }

  /**
   * A signature over the bytes costs as much again as sending them. It protects from others on the way, as TLS does, and from damage, as
   * the CRC-32 does: so it is left out where there is TLS, or no way, and the store has proven that it checks CRC-32s.
   */
  #mayLeaveUnsigned({ input, request }: { readonly input: unknown; readonly request: unknown }): boolean {
    const hasCrc = typeof input === 'object' && input !== null && 'ChecksumCRC32' in input && 'Body' in input
    return hasCrc && this.#checksCrc && this.config.signPayload === 'auto' && isPrivate(request)
  }
}

function clientConfig(config: S3Config): S3ClientConfig {
  const { endpoint, pathStyle } = config
  const region = config.region ?? (endpoint === undefined ? undefined : regionOfEnvironment())
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    forcePathStyle: pathStyle,
    maxAttempts: ATTEMPTS,
    retryStrategy: new S3Retries(),
    // We have the CRC-32 of what we send, and checksums of our own in what we read.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // The SDK would open a connection for each part.
    expectContinueHeader: false,
    cacheMiddleware: true,
  }
}

/** Stores elsewhere than at Amazon as a rule know no regions, but signatures name one. */
function regionOfEnvironment(): string {
  return process.env['AWS_REGION'] || process.env['AWS_DEFAULT_REGION'] || 'us-east-1'
}

/** The SDK's own way to send requests. */
function senderWith(timeouts: { readonly connectionTimeout: number; readonly socketTimeout: number }) {
  const agent = { keepAlive: true, maxSockets: CONNECTIONS }
  const requestHandler = { ...timeouts, httpAgent: agent, httpsAgent: agent }
  return new S3Client({ region: 'none', requestHandler }).config.requestHandler
}

/** Whether nobody on its way can change a request: it goes by TLS, or does not leave the host. */
function isPrivate(request: unknown): boolean {
  if (typeof request !== 'object' || request === null || !('protocol' in request && 'hostname' in request)) return false
  const { protocol, hostname } = request
  return protocol === 'https:' || /^(localhost|\[::1\]|127\.[\d.]+)$/.test(String(hostname))
}

function headersOf(request: unknown): Record<string, string> {
  if (typeof request !== 'object' || request === null || !('headers' in request)) return {}
  return request.headers as Record<string, string>
}
