import { TabletkeeperError } from '../../model/errors.ts'
import { ATTEMPTS, type GcsConnection } from './connection.ts'
import { answerError, type GcsAnswer, isDamaged, isTransient, transportError } from './errors.ts'
import {
  describeObject,
  type GcsObject,
  generationToReplace,
  type NewGcsObject,
  newObjectMetadata,
  notWhatWasSent,
  parseObject,
  storedByOthers,
  storing,
  uploadPath,
} from './object.ts'

/** Of an upload that goes on, Google keeps whole multiples of this. */
export const GRANULE = 256 * 1024

/** A session that was ended: by `cancel`, or because it is older than a week. */
const GONE: ReadonlySet<number> = new Set([404, 410, 499])

/** How a request of a session ends the object, if it does. */
interface Ending {
  readonly signal?: AbortSignal | undefined
  /** The size of the whole object. */
  readonly total?: number
  readonly checksum?: string | undefined
}

/**
 * A resumable upload: an object that comes in several requests, and of which the bucket keeps what has arrived, for a week, from whoever
 * knows the session's address. Nobody can list such sessions, and no byte that has arrived can be replaced: what is sent again is
 * passed over. https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
export class GcsSession {
  /** Where its requests go. */
  readonly path: string
  readonly #gcs: GcsConnection
  readonly #object: NewGcsObject
  #persisted: number

  private constructor(gcs: GcsConnection, object: NewGcsObject, path: string, persisted: number) {
    this.#gcs = gcs
    this.#object = object
    this.path = path
    this.#persisted = persisted
  }

  /** @throws Refused when it must not replace an object that is there */
  static async begin(gcs: GcsConnection, object: NewGcsObject): Promise<GcsSession> {
    const doing = storing(object.key)
    const answer = await gcs.ask(doing, {
      method: 'POST',
      path: uploadPath(gcs, 'resumable', await generationToReplace(gcs, object)),
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: [Buffer.from(JSON.stringify(newObjectMetadata(gcs, object)))],
      signal: object.signal,
    })
    if (answer.status === 412) throw storedByOthers(gcs, object.key)
    const { location } = answer.headers
    if (answer.status >= 300 || typeof location !== 'string') throw answerError(gcs.description, doing, answer)
    // Only by the address that the configuration names, whatever the answer says.
    const { pathname, search } = new URL(location)
    return new GcsSession(gcs, object, pathname + search, 0)
  }

  /** The session at `path`, as far as it has come; undefined when it has ended, well or not. */
  static async find(gcs: GcsConnection, object: NewGcsObject, path: string): Promise<GcsSession | undefined> {
    const doing = storing(object.key)
    const answer = await gcs.ask(doing, { method: 'PUT', path, headers: { 'content-range': 'bytes */*' } })
    if (answer.status === 308) return new GcsSession(gcs, object, path, persistedIn(answer))
    if (answer.status < 300 || GONE.has(answer.status)) return undefined
    throw answerError(gcs.description, doing, answer)
  }

  /** Bytes from the beginning that the bucket keeps. */
  get persisted(): number {
    return this.#persisted
  }

  /** Sends what follows what is persisted: a multiple of GRANULE. All of it is persisted when this resolves. */
  async send(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const object = await this.#exchange(bytes, { signal })
    if (object !== undefined) throw this.#lost()
  }

  /**
   * Sends the rest, and makes an object of all.
   * @param checksum of the whole object, where it is known
   * @throws Refused when somebody else has stored the object meanwhile
   */
  async finish(bytes: Uint8Array, checksum: string | undefined, signal?: AbortSignal): Promise<GcsObject> {
    const object = await this.#exchange(bytes, { signal, total: this.#persisted + bytes.length, checksum })
    if (object === undefined) throw this.#lost()
    return object
  }

  /** Drops what has arrived. */
  async cancel(): Promise<void> {
    const doing = { doing: `drop what was uploaded of ${this.#object.key}`, permission: 'storage.objects.create' }
    const answer = await this.#gcs.ask(doing, { method: 'DELETE', path: this.path })
    if (answer.status >= 300 && !GONE.has(answer.status)) throw answerError(this.#gcs.description, doing, answer)
  }

  /** Sends until all has arrived. Where a request fails, the bucket is asked how much of it has. */
  async #exchange(bytes: Uint8Array, ending: Ending): Promise<GcsObject | undefined> {
    const start = this.#persisted
    const end = start + bytes.length
    let asks = false
    for (let attempt = 1; ; attempt++) {
      const from = this.#persisted
      const result = await this.#try(asks ? undefined : bytes.subarray(from - start), ending)
      if (result instanceof TabletkeeperError) {
        if (attempt >= ATTEMPTS) throw result
        asks = true
        await this.#gcs.rest(attempt, Number.NaN, ending.signal)
        continue
      }
      if (typeof result !== 'number') return result
      if (result < start || result > end) throw this.#lost()
      this.#persisted = result
      if (ending.total === undefined && result === end) return undefined
      asks = false
      if (result > from) attempt = 1
      if (attempt >= ATTEMPTS) throw this.#lost()
    }
  }

  /** @returns how much has arrived, or the object when all has; an error that may go away */
  async #try(bytes: Uint8Array | undefined, ending: Ending): Promise<number | GcsObject | TabletkeeperError> {
    const { signal, total, checksum } = ending
    const { description } = this.#gcs
    const doing = storing(this.#object.key)
    let answer: GcsAnswer
    try {
      answer = await this.#gcs.once({
        method: 'PUT',
        path: this.path,
        headers: {
          'content-range': contentRange(this.#persisted, bytes?.length ?? 0, total),
          ...(checksum === undefined || bytes === undefined ? {} : { 'x-goog-hash': `crc32c=${checksum}` }),
        },
        body: bytes === undefined ? [] : [bytes],
        signal,
      })
    } catch (error) {
      signal?.throwIfAborted()
      const failure = transportError(description, doing, error)
      if (failure.retryable) return failure
      throw failure
    }
    if (answer.status === 308) return persistedIn(answer)
    if (answer.status < 300) return parseObject(this.#gcs, doing, answer.text)
    if (answer.status === 412) return await this.#own(ending)
    if (GONE.has(answer.status)) throw this.#lost()
    if (isDamaged(answer)) throw notWhatWasSent(this.#gcs, this.#object.key)
    const error = answerError(description, doing, answer)
    if (isTransient(answer)) return error
    throw error
  }

  /** The object that is there already may be ours: the answer to a request that went well may have been lost. */
  async #own({ total, checksum }: Ending): Promise<GcsObject> {
    const { key, writer } = this.#object
    const there = await describeObject(this.#gcs, key)
    const isOurs = there?.writer === writer && there.size === total && (checksum ?? there.crc32c) === there.crc32c
    if (there !== undefined && isOurs) return there
    throw storedByOthers(this.#gcs, key)
  }

  #lost(): TabletkeeperError {
    return new TabletkeeperError(
      'StorageUnavailable',
      `${this.#gcs.description} has lost what was uploaded of ${this.#object.key}`,
      { hint: 'Somebody has dropped it, or it is older than a week: the next attempt begins the object anew.' },
    )
  }
}

/** `bytes 0-524287/*`; of no bytes, where the object ends or how much of it has arrived. */
export function contentRange(from: number, length: number, total: number | undefined): string {
  const range = length === 0 ? '*' : `${from}-${from + length - 1}`
  return `bytes ${range}/${total ?? '*'}`
}

/** A 308 without a range has nothing yet. */
export function persistedIn({ headers }: Pick<GcsAnswer, 'headers'>): number {
  const [, last] = /^bytes=0-(\d+)$/.exec(String(headers['range'] ?? '')) ?? []
  return last === undefined ? 0 : Number(last) + 1
}
