import { crc32c } from '@node-rs/crc32'
import type { PartMemory } from '../bucket/part-memory.ts'
import type { ObjectWriter } from '../object-store.ts'
import type { GcsConnection } from './connection.ts'
import { checksumText, type GcsObject, type NewGcsObject, notWhatWasSent, putObject, removeObject } from './object.ts'
import type { Rewriting } from './rewriting.ts'
import { GcsSession } from './session.ts'

/** Each chunk is waited for: objects that are large are sent in larger ones. Both are multiples of GRANULE. */
const CHUNK = 8 * 1024 * 1024
const LARGE_CHUNK = 2 * CHUNK
const LARGE = 1024 * 1024 * 1024

export interface Writing {
  readonly gcs: GcsConnection
  readonly memory: PartMemory
  readonly object: NewGcsObject
  /** Told where an upload of several requests goes, before any byte is sent there. */
  readonly onBegin?: (path: string) => Promise<void>
  /** The object is whole. */
  readonly onWhole?: () => Promise<void>
}

/** What an earlier process has left of an object. */
export interface Begun {
  readonly session: GcsSession
  /** Bytes that have arrived and are written once more. */
  readonly rewriting: Rewriting | undefined
}

/**
 * An object on its way to a bucket. A small one goes in one request when it is whole. Larger ones go in chunks, one after another, each
 * while the next is collected: so much memory an object takes.
 */
export class GcsWriter implements ObjectWriter {
  readonly #writing: Writing
  readonly #rewriting: Rewriting | undefined
  readonly #abort = new AbortController()
  #session: GcsSession | undefined
  /** What is collected, of a chunk of `#chunk` bytes. */
  #buffer: Buffer | undefined
  #filled = 0
  #chunk: number
  #size: number
  /** Of all bytes; undefined when an earlier process has written some. */
  #crc: number | undefined
  #sending: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #isFinished = false

  constructor(writing: Writing, begun?: Begun) {
    this.#writing = writing
    this.#session = begun?.session
    this.#rewriting = begun?.rewriting
    this.#size = begun?.session.persisted ?? 0
    this.#chunk = chunkAt(this.#size)
    this.#crc = begun === undefined ? 0 : undefined
  }

  get kept(): number {
    if (this.#isFinished) return this.#rewriting?.end ?? this.#size
    const arrived = this.#session?.persisted ?? 0
    return this.#rewriting?.kept(arrived) ?? arrived
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let left = (await this.#rewriting?.take(bytes)) ?? bytes; left.length > 0; ) {
      const buffer = await this.#room(left.length)
      const piece = left.subarray(0, buffer.length - this.#filled)
      buffer.set(piece, this.#filled)
      if (this.#crc !== undefined) this.#crc = crc32c(piece, this.#crc)
      this.#filled += piece.length
      this.#size += piece.length
      left = left.subarray(piece.length)
      if (this.#filled === this.#chunk) await this.#send()
    }
  }

  async finish(): Promise<void> {
    await this.#sending
    this.#assertSound()
    const { gcs, onWhole } = this.#writing
    const checksum = this.#crc === undefined ? undefined : checksumText(this.#crc)
    const stored = await this.#sendRest((rest) => this.#store(rest, checksum))
    if (stored.size !== this.#size || (checksum !== undefined && (stored.crc32c ?? checksum) !== checksum)) {
      await removeObject(gcs, this.#writing.object.key, stored.generation)
      throw notWhatWasSent(gcs, this.#writing.object.key)
    }
    await this.#rewriting?.settle(stored, this.#writing)
    this.#isFinished = true
    await onWhole?.()
  }

  async close(): Promise<void> {
    if (!this.#isFinished) this.#abort.abort(new Error('the writing has ended'))
    await this.#sending
    if (this.#buffer !== undefined) this.#writing.memory.drop(this.#buffer)
    this.#buffer = undefined
  }

  /** As `close`; nobody goes on with what has arrived. */
  async discard(): Promise<void> {
    await this.close()
    if (this.#isFinished) return
    // What ended the writing is what the caller has to know; a session ends by itself, too.
    await this.#session?.cancel().catch(() => {})
  }

  async #store(rest: Buffer, checksum: string | undefined): Promise<GcsObject> {
    const { gcs, object } = this.#writing
    const signal = this.#signal
    if (this.#session !== undefined) return await this.#session.finish(rest, checksum, signal)
    return await putObject(gcs, rest, { ...object, signal })
  }

  /** A buffer that is not full. */
  async #room(incoming: number): Promise<Buffer> {
    this.#assertSound()
    const present = this.#buffer
    if (present !== undefined && this.#filled < present.length) return present
    const { memory } = this.#writing
    // Most objects are one write of less than a chunk: they get no more memory than they need.
    const buffer = await memory.take(this.#size === 0 ? Math.min(this.#chunk, incoming) : this.#chunk)
    if (present !== undefined) {
      present.copy(buffer)
      memory.drop(present)
    }
    this.#buffer = buffer
    return buffer
  }

  /** Sends the chunk that is collected, as soon as the one before it has arrived. */
  async #send(): Promise<void> {
    await this.#sending
    this.#assertSound()
    const { gcs, object, onBegin } = this.#writing
    if (this.#session === undefined) {
      const session = await GcsSession.begin(gcs, { ...object, signal: this.#signal })
      this.#session = session
      await onBegin?.(session.path)
    }
    const session = this.#session
    this.#sending = this.#sendRest((bytes) => session.send(bytes, this.#signal)).catch((error: unknown) => {
      this.#failure = { error }
    })
    this.#chunk = chunkAt(this.#size)
  }

  /** Calls `action` with what is collected, which is gone then. */
  async #sendRest<T>(action: (bytes: Buffer) => Promise<T>): Promise<T> {
    const buffer = this.#buffer
    const bytes = buffer?.subarray(0, this.#filled)
    this.#buffer = undefined
    this.#filled = 0
    if (buffer === undefined || bytes === undefined) return await action(Buffer.alloc(0))
    return await this.#writing.memory.send(buffer, () => action(bytes))
  }

  get #signal(): AbortSignal {
    const { signal } = this.#writing.object
    return signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal])
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

/** How many bytes are sent at once from byte `offset` of an object on. */
function chunkAt(offset: number): number {
  return offset < LARGE ? CHUNK : LARGE_CHUNK
}
