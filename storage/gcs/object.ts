import { randomBytes } from 'node:crypto'
import { crc32c } from '@node-rs/crc32'
import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'
import { ATTEMPTS, type GcsConnection } from './connection.ts'
import { answerError, type Doing, isDamaged } from './errors.ts'

/** Kept with each object: which write has made it. */
const WRITER = 'tabletkeeper-writer'

/** What is asked of an object. */
export const FIELDS = 'name,size,updated,generation,crc32c,metadata'

/** Bytes that arrive as others are sent again so often. */
const DAMAGED_ATTEMPTS = 3

/** Generations are times in microseconds. */
const NO_GENERATION = '1'

export interface NewGcsObject {
  readonly key: string
  /** The write or the upload that makes it. What an earlier attempt of the same has made is replaced in any case. */
  readonly writer: string
  /** Whether an object that somebody else made stays as it is. */
  readonly ifAbsent: boolean
  readonly signal?: AbortSignal | undefined
}

/** An object as the bucket describes it. */
export interface GcsObject {
  readonly name: string
  readonly size: number
  readonly updated: Date
  /** Another one for each time that it is stored. */
  readonly generation: string
  readonly crc32c: string | undefined
  readonly writer: string | undefined
}

export const objectSchema = z
  .object({
    name: z.string(),
    // Google's own testbench leaves out a zero.
    size: z.coerce.number().default(0),
    updated: z.coerce.date(),
    generation: z.coerce.string(),
    crc32c: z.string().optional(),
    metadata: z.record(z.string(), z.string()).nullish(),
  })
  .transform(({ metadata, ...object }): GcsObject => ({ ...object, crc32c: object.crc32c, writer: metadata?.[WRITER] }))

/** Base64 of the big-endian CRC-32C, as the API writes it. */
export function checksumText(crc: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc)
  return bytes.toString('base64')
}

/** @throws StorageUnavailable when it is no description of an object, as a proxy's own page is not */
export function parseObject(gcs: GcsConnection, { doing }: Doing, text: string): GcsObject {
  return parseAnswer(gcs, doing, text, objectSchema)
}

/** The same of any answer. */
export function parseAnswer<T>(gcs: GcsConnection, doing: string, text: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new TabletkeeperError(
      'StorageUnavailable',
      `cannot ${doing} in ${gcs.description}: what answered is not Google Cloud Storage`,
      { hint: 'Look at storage.apiEndpoint, and at proxies on the way to it.', cause },
    )
  }
}

/** What the bucket knows of an object; undefined when there is none. */
export async function describeObject(gcs: GcsConnection, key: string): Promise<GcsObject | undefined> {
  const doing = { doing: `look at ${key}`, permission: 'storage.objects.get' }
  const answer = await gcs.ask(doing, { method: 'GET', path: gcs.pathOf(key, { fields: FIELDS }) })
  if (answer.status === 404) return undefined
  if (answer.status !== 200) throw answerError(gcs.description, doing, answer)
  return parseObject(gcs, doing, answer.text)
}

/** Removes an object, or only that generation of it; one that is not there is no error. */
export async function removeObject(gcs: GcsConnection, key: string, generation?: string): Promise<void> {
  const doing = { doing: `remove ${key}`, permission: 'storage.objects.delete' }
  const query = generation === undefined ? {} : { ifGenerationMatch: generation }
  const answer = await gcs.ask(doing, { method: 'DELETE', path: gcs.pathOf(key, query) })
  if (answer.status >= 400 && answer.status !== 404 && answer.status !== 412) {
    throw answerError(gcs.description, doing, answer)
  }
}

/**
 * Stores an object in one request.
 * @throws Refused when it must not replace one that is there
 */
export async function putObject(gcs: GcsConnection, bytes: Uint8Array, object: NewGcsObject): Promise<GcsObject> {
  const doing = storing(object.key)
  const checksum = checksumText(crc32c(bytes))
  let expected = object.ifAbsent ? '0' : undefined
  for (let damaged = 0, refused = 0; ; ) {
    const answer = await gcs.ask(doing, insertion(gcs, bytes, object, checksum, expected))
    if (answer.status === 200) {
      const stored = parseObject(gcs, doing, answer.text)
      if ((stored.crc32c ?? checksum) === checksum && stored.size === bytes.length) return stored
      await removeObject(gcs, object.key, stored.generation)
      throw notWhatWasSent(gcs, object.key)
    }
    if (answer.status === 412 && ++refused < ATTEMPTS) {
      const there = await describeObject(gcs, object.key)
      // The answer to an attempt that went well may have been lost.
      if (there?.writer === object.writer && there.crc32c === checksum && there.size === bytes.length) return there
      expected = expectedGeneration(gcs, object, there)
    } else if (!isDamaged(answer)) throw answerError(gcs.description, doing, answer)
    else if (++damaged === DAMAGED_ATTEMPTS) throw notWhatWasSent(gcs, object.key)
  }
}

/**
 * Whether an object could be stored, asked by replacing a generation that never was: nothing is stored.
 * @throws StorageDenied when it could not
 */
export async function assertMayCreate(gcs: GcsConnection, key: string): Promise<void> {
  const doing = storing(key)
  const bytes = Buffer.alloc(1)
  const object = { key, writer: 'nobody', ifAbsent: false }
  const answer = await gcs.ask(doing, insertion(gcs, bytes, object, checksumText(crc32c(bytes)), NO_GENERATION))
  if (answer.status !== 412) throw answerError(gcs.description, doing, answer)
}

/**
 * The generation that a write may replace: 0 for none, undefined for any.
 * @throws Refused when somebody else has stored the object
 */
export async function generationToReplace(gcs: GcsConnection, object: NewGcsObject): Promise<string | undefined> {
  return object.ifAbsent ? expectedGeneration(gcs, object, await describeObject(gcs, object.key)) : undefined
}

function expectedGeneration(gcs: GcsConnection, { key, writer }: NewGcsObject, there: GcsObject | undefined): string {
  if (there === undefined) return '0'
  if (there.writer === writer) return there.generation
  throw storedByOthers(gcs, key)
}

export function storedByOthers(gcs: GcsConnection, key: string): TabletkeeperError {
  return new TabletkeeperError('Refused', `${gcs.description} has an object ${key} that this write did not store`, {
    hint: 'Somebody else has written it: look whether two runs make the same backup.',
  })
}

/** What the API is told of an object that is to be made. */
export function newObjectMetadata(gcs: GcsConnection, { key, writer }: NewGcsObject): Record<string, unknown> {
  return { name: gcs.nameOf(key), contentType: 'application/octet-stream', metadata: { [WRITER]: writer } }
}

export function storing(key: string): Doing {
  return { doing: `store ${key}`, permission: 'storage.objects.create' }
}

export function notWhatWasSent(gcs: GcsConnection, key: string): TabletkeeperError {
  return new TabletkeeperError('StorageUnavailable', `${gcs.description} got other bytes of ${key} than were sent`, {
    hint: 'Look at the network on the way to it: a proxy perhaps changes what goes through it.',
  })
}

/** https://cloud.google.com/storage/docs/uploading-objects: one request with two parts, description and bytes. */
function insertion(
  gcs: GcsConnection,
  bytes: Uint8Array,
  object: NewGcsObject,
  checksum: string,
  expected: string | undefined,
) {
  const boundary = randomBytes(16).toString('hex')
  const description = JSON.stringify({ ...newObjectMetadata(gcs, object), crc32c: checksum })
  const head = `--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${description}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`
  return {
    method: 'POST' as const,
    path: uploadPath(gcs, 'multipart', expected),
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
    signal: object.signal,
  }
}

export function uploadPath(gcs: GcsConnection, uploadType: string, expected: string | undefined): string {
  const query = { uploadType, fields: FIELDS, ...(expected === undefined ? {} : { ifGenerationMatch: expected }) }
  return `/upload/storage/v1/b/${encodeURIComponent(gcs.bucket)}/o?${new URLSearchParams(query)}`
}
