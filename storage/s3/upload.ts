import { randomBytes } from 'node:crypto'
import { isError } from '../../model/errors.ts'
import type { PartMemory } from '../bucket/part-memory.ts'
import { assertNameIn, writtenIsLost } from '../file/upload-names.ts'
import { forAll } from '../for-all.ts'
import type { Upload } from '../object-store.ts'
import type { S3Connection } from './connection.ts'
import { listLevel } from './listing.ts'
import { abortMultipart, listMultipartUploads, MultipartUpload, type StoredPart } from './multipart.ts'
import { headObject, putObject } from './object.ts'
import { type PartPlan, PieceCursor } from './parts.ts'
import { inChargeOf } from './put-body.ts'
import { Segment } from './segments.ts'
import { type Begun, S3Writer } from './writer.ts'

/** Requests at once that are only asked for their effect. */
const AT_ONCE = 16

/** How far clocks may differ: signatures of a host whose clock is wrong by more are refused. */
const CLOCK_DIFFERENCE = 20 * 60_000

const UPLOAD_ID = /^[0-9a-f]{16}$/

/** A new id of an upload: when it began, in milliseconds, and something random. */
export function newUploadId(): string {
  return Date.now().toString(16).padStart(12, '0') + randomBytes(2).toString('hex')
}

export function isUploadId(text: string): boolean {
  return UPLOAD_ID.test(text)
}

export interface S3UploadPlace {
  readonly s3: S3Connection
  readonly memory: PartMemory
  readonly plan: PartPlan
  /** Ends in `/`. */
  readonly directory: string
  readonly id: string
}

/**
 * Objects that are each visible as soon as they are finished. Larger ones are multipart uploads until then, which S3 keeps: another
 * process finds that of a key by listing them, and goes on after the last part of the expected size.
 */
export class S3Upload implements Upload {
  readonly id: string
  readonly #place: S3UploadPlace

  constructor(place: S3UploadPlace) {
    this.id = place.id
    this.#place = place
  }

  async open(name: string, from: number, signal?: AbortSignal): Promise<S3Writer> {
    assertNameIn(this.#place.directory, name)
    const { s3, memory, plan, directory } = this.#place
    const writing = { s3, memory, plan, key: directory + name, writer: this.id, ifAbsent: true }
    const begun = from > 0 ? await this.#find(writing.key, from, signal) : undefined
    signal?.throwIfAborted()
    return new S3Writer(writing, begun)
  }

  async put(name: string, bytes: Uint8Array, crc?: number, signal?: AbortSignal): Promise<void> {
    assertNameIn(this.#place.directory, name)
    signal?.throwIfAborted()
    const { s3, directory } = this.#place
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const object = { key: directory + name, writer: this.id, ifAbsent: true, signal }
    await inChargeOf(body, signal, () => putObject(s3, body, object, crc))
  }

  localPath(name: string): undefined {
    assertNameIn(this.#place.directory, name)
    return undefined
  }

  /** What is sent is written out; what is collected would not become a part by it. */
  async writeOut(): Promise<void> {}

  async commit(names: readonly string[]): Promise<void> {
    for (const name of names) assertNameIn(this.#place.directory, name)
    const { s3, directory } = this.#place
    if (names.length === 0) return
    // An object that somebody else had stored was refused when ours was finished.
    const { objects } = await listLevel(s3, directory)
    const visible = new Set(objects.map(({ key }) => key))
    const keys = names.map((name) => directory + name)
    const unlisted = keys.filter((key) => !visible.has(key))
    // A listing may be late, and nothing mends what was called lost.
    await forAll(unlisted, AT_ONCE, async (key) => {
      if ((await headObject(s3, key)) === undefined) throw writtenIsLost(s3.description, key)
    })
    await this.#dropLeftovers(new Set(keys))
  }

  /** What attempts that were given up have left of objects that are whole: nobody else would look for it, and it is paid for. */
  async #dropLeftovers(keys: ReadonlySet<string>): Promise<void> {
    const { s3, directory } = this.#place
    try {
      const leftovers = (await listMultipartUploads(s3, directory)).filter(({ key }) => keys.has(key))
      await forAll(leftovers, AT_ONCE, (one) => abortMultipart(s3, one))
    } catch (error) {
      if (!isError(error, 'StorageDenied', 'InvalidConfig')) throw error
    }
  }

  /** What is there of an object, up to `from` bytes. */
  async #find(key: string, from: number, signal: AbortSignal | undefined): Promise<Begun | undefined> {
    const { s3, plan } = this.#place
    const notBefore = Number.parseInt(this.id.slice(0, 12), 16) - CLOCK_DIFFERENCE
    const upload = await MultipartUpload.find(s3, key, notBefore)
    if (upload === undefined) return undefined
    const sizeOf = (number: number) => plan.sizeOf(number, key)
    let { next, bytes } = keepParts(upload.parts, from, sizeOf)
    if (plan.isSegment(next)) {
      const segment = await Segment.find(s3, this.id, upload, next, { notBefore, size: plan.segmentSize })
      const inner =
        segment === undefined ? undefined : keepParts(segment.upload.parts, from - bytes, () => plan.largest)
      if (inner !== undefined && 0 < inner.bytes && inner.bytes < plan.segmentSize) {
        const there = { parts: inner.next - 1, bytes: inner.bytes }
        return { upload, segment, cursor: new PieceCursor(plan, key, next, there), kept: bytes + inner.bytes }
      }
      signal?.throwIfAborted()
      if (inner?.bytes === 0) await segment?.upload.abort()
      else await segment?.finish()
      ;({ next, bytes } = keepParts(upload.parts, from, sizeOf))
    }
    if (bytes > 0) return { upload, segment: undefined, cursor: new PieceCursor(plan, key, next), kept: bytes }
    signal?.throwIfAborted()
    await upload.abort()
    return undefined
  }
}

/** Keeps the parts from the first that have the expected sizes and are within `most` bytes; forgets all others. */
function keepParts(
  parts: Map<number, StoredPart>,
  most: number,
  sizeOf: (number: number) => number,
): { readonly next: number; readonly bytes: number } {
  let next = 1
  let bytes = 0
  for (let part = parts.get(next); part?.size === sizeOf(next) && bytes + part.size <= most; part = parts.get(next)) {
    bytes += part.size
    next += 1
  }
  for (const number of parts.keys()) if (number >= next) parts.delete(number)
  return { next, bytes }
}
