import { combineCrc32, restOfCrc32 } from '../../model/crc32-combine.ts'
import type { PartMemory } from '../bucket/part-memory.ts'
import type { ObjectWriter } from '../object-store.ts'
import { copyWithCrc, encodedCrc } from './checksum.ts'
import type { S3Connection } from './connection.ts'
import { MultipartUpload } from './multipart.ts'
import { completeObject, putObject } from './object.ts'
import { type PartPlan, type Piece, PieceCursor } from './parts.ts'
import { Segment } from './segments.ts'

/** Parts of one object that are sent at once: one connection carries some 80 MB/s. */
const PARALLEL = 4

export interface Writing {
  readonly s3: S3Connection
  readonly memory: PartMemory
  readonly plan: PartPlan
  readonly key: string
  /** The write or the upload that makes the object. */
  readonly writer: string
  readonly ifAbsent: boolean
}

/** What is there of an object that is gone on with. */
export interface Begun {
  readonly upload: MultipartUpload
  /** Behind what is there. */
  readonly cursor: PieceCursor
  /** The segment that is not full. */
  readonly segment: Segment | undefined
  /** Bytes that are there. */
  readonly kept: number
}

/** Collects bytes into parts and sends several at once; an object that fills no part is stored in one request. */
export class S3Writer implements ObjectWriter {
  readonly #writing: Writing
  readonly #cursor: PieceCursor
  #upload: MultipartUpload | undefined
  #segment: Segment | undefined
  /** What is on its way into the segment. */
  #intoSegment: Promise<void>[] = []
  #buffer: Buffer | undefined
  #filled = 0
  /** Of what is in the buffer. */
  #crc = 0
  #size: number
  #kept: number
  /** Pieces that were sent, in order; those at the beginning that are kept are gone from here. */
  readonly #sent: { readonly end: number; isKept: boolean }[] = []
  readonly #sending = new Set<Promise<void>>()
  readonly #abort = new AbortController()
  #failure: { readonly error: unknown } | undefined
  #isFinished = false

  constructor(writing: Writing, begun?: Begun) {
    this.#writing = writing
    this.#cursor = begun?.cursor ?? new PieceCursor(writing.plan, writing.key)
    this.#upload = begun?.upload
    this.#segment = begun?.segment
    this.#kept = begun?.kept ?? 0
    this.#size = this.#kept
  }

  get kept(): number {
    return this.#kept
  }

  async write(bytes: Uint8Array, crc?: number): Promise<void> {
    for (let left = bytes, known = crc; left.length > 0; ) {
      const buffer = await this.#room(left.length)
      const count = Math.min(left.length, Math.min(buffer.length, this.#cursor.size) - this.#filled)
      const piece = left.subarray(0, count)
      left = left.subarray(count)
      const ofPiece = this.#collect(piece, buffer, left.length === 0 ? known : undefined)
      if (known !== undefined) known = restOfCrc32(known, ofPiece, left.length)
      if (this.#filled === this.#cursor.size) await this.#send(false)
    }
  }

  async finish(): Promise<void> {
    this.#assertSound()
    const { s3, key, writer, ifAbsent } = this.#writing
    const object = { key, writer, ifAbsent, signal: this.#abort.signal }
    if (this.#upload === undefined) {
      await this.#whole((bytes) => putObject(s3, bytes, object, this.#crc))
    } else {
      if (this.#filled > 0) await this.#send(true)
      this.#endSegment()
      await Promise.all(this.#sending)
      this.#assertSound()
      await completeObject(s3, this.#upload, object)
    }
    this.#kept = this.#size
    this.#isFinished = true
  }

  /** What is on its way fails at once, and so does the writing. */
  abort(): void {
    this.#abort.abort()
  }

  async close(): Promise<void> {
    if (!this.#isFinished) this.abort()
    await Promise.all(this.#sending)
    if (this.#buffer !== undefined) this.#writing.memory.drop(this.#buffer)
    this.#buffer = undefined
  }

  /** As `close`; nobody goes on with what was uploaded. */
  async discard(): Promise<void> {
    await this.close()
    if (this.#isFinished) return
    await this.#segment?.upload.abort()
    await this.#upload?.abort()
  }

  /** A buffer that is not full. */
  async #room(incoming: number): Promise<Buffer> {
    this.#assertSound()
    const present = this.#buffer
    if (present !== undefined && this.#filled < present.length) return present
    const { memory, plan } = this.#writing
    // Most objects are one write of less than a part: they get no more memory than they need. All others share buffers of one size, which
    // are used again from object to object: memory that is new costs more than what is copied into it.
    const isSmall = this.#size === 0 && incoming < this.#cursor.size
    const buffer = await memory.take(isSmall ? incoming : plan.largest)
    if (present !== undefined) {
      present.copy(buffer)
      memory.drop(present)
    }
    this.#buffer = buffer
    return buffer
  }

  /**
   * Adds a piece to the buffer.
   * @param known its CRC-32
   * @returns its CRC-32
   */
  #collect(piece: Uint8Array, buffer: Buffer, known: number | undefined): number {
    if (known !== undefined) buffer.set(piece, this.#filled)
    const crc = known ?? copyWithCrc(piece, buffer, this.#filled)
    this.#crc = combineCrc32(this.#crc, crc, piece.length)
    this.#filled += piece.length
    this.#size += piece.length
    return crc
  }

  /** Calls `store` with all that was written. */
  async #whole(store: (bytes: Buffer) => Promise<void>): Promise<void> {
    const buffer = this.#buffer
    this.#buffer = undefined
    if (buffer === undefined) return await store(Buffer.alloc(0))
    await this.#writing.memory.send(buffer, () => store(buffer.subarray(0, this.#filled)))
  }

  /** Sends the piece that is collected, as soon as not too many are on their way. */
  async #send(isLast: boolean): Promise<void> {
    const buffer = this.#buffer
    if (buffer === undefined) return
    while (this.#sending.size >= PARALLEL) await Promise.race(this.#sending)
    this.#assertSound()
    const { s3, key, writer, memory } = this.#writing
    this.#upload ??= await MultipartUpload.begin(s3, key, writer)
    const piece = this.#cursor.next(this.#filled)
    const { upload, number } = await this.#placeOf(this.#upload, piece, isLast)
    const bytes = buffer.subarray(0, this.#filled)
    const crc = encodedCrc(this.#crc)
    this.#buffer = undefined
    this.#filled = 0
    this.#crc = 0
    const sent = { end: this.#size, isKept: false }
    this.#sent.push(sent)
    const sending = this.#start(async () => {
      await memory.send(buffer, () => upload.upload(number, bytes, crc, this.#abort.signal))
      sent.isKept = true
      this.#countKept()
    })
    if (this.#segment?.upload === upload) this.#intoSegment.push(sending)
    if (piece.fills) this.#endSegment()
  }

  async #placeOf(upload: MultipartUpload, { number, inner }: Piece, isLast: boolean) {
    // What fits in one part is no segment.
    if (inner === undefined || (inner === 1 && isLast)) return { upload, number }
    const { s3, writer } = this.#writing
    this.#segment ??= await Segment.begin(s3, writer, upload, number)
    return { upload: this.#segment.upload, number: inner }
  }

  /** The segment becomes a part when all that belongs to it is there. */
  #endSegment(): void {
    const segment = this.#segment
    if (segment === undefined) return
    const into = this.#intoSegment
    this.#segment = undefined
    this.#intoSegment = []
    this.#start(async () => {
      await Promise.all(into)
      this.#assertSound()
      await segment.finish()
    })
  }

  #start(action: () => Promise<void>): Promise<void> {
    const ended: Promise<void> = action()
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => this.#sending.delete(ended))
    this.#sending.add(ended)
    return ended
  }

  #countKept(): void {
    for (let next = this.#sent[0]; next?.isKept; next = this.#sent[0]) {
      this.#kept = next.end
      this.#sent.shift()
    }
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
