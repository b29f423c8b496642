import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { crc32 } from '@node-rs/crc32'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { encodedCrc } from './checksum.ts'
import type { Doing, S3Connection } from './connection.ts'
import { isRefusal, named } from './errors.ts'
import type { MultipartUpload } from './multipart.ts'

/** Kept with each object: which write has made it. */
const WRITER = 'tabletkeeper-writer'

export interface NewObject {
  readonly key: string
  /** The write or the upload that makes it. What an earlier attempt of the same has made is replaced in any case. */
  readonly writer: string
  /** Whether an object that somebody else made stays as it is. */
  readonly ifAbsent: boolean
  readonly signal?: AbortSignal | undefined
}

/** What goes with the request that makes an object, or begins one. */
export async function newObjectParameters(s3: S3Connection, key: string, writer: string) {
  const { storageClass, tags } = s3.config
  return {
    Bucket: s3.bucket,
    Key: s3.keyOf(key),
    Metadata: { [WRITER]: writer },
    // Names of classes are the stores' own: Ceph's are what its administrator calls them.
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as 'STANDARD' }),
    ...(tags === undefined ? {} : { Tagging: new URLSearchParams([...tags]).toString() }),
    ...(await s3.encryption.ofNewObject()),
  }
}

export interface ObjectHead {
  readonly size: number
  readonly modified: Date
  readonly etag: string | undefined
  readonly writer: string | undefined
}

/** The description of an object, or undefined when there is none. */
export async function headObject(s3: S3Connection, key: string): Promise<ObjectHead | undefined> {
  const parameters = { Bucket: s3.bucket, Key: s3.keyOf(key), ...(await s3.encryption.ofObject()) }
  const head = await s3.find({ doing: `look at ${key}`, right: 's3:GetObject', key }, (client) =>
    client.send(new HeadObjectCommand(parameters)),
  )
  if (head === undefined) return undefined
  return {
    size: head.ContentLength ?? 0,
    modified: wholeSeconds(head.LastModified),
    etag: head.ETag,
    writer: head.Metadata?.[WRITER],
  }
}

/** Listings and heads tell times with different precision. */
export function wholeSeconds(time: Date | undefined): Date {
  return new Date(Math.floor((time?.getTime() ?? 0) / 1000) * 1000)
}

/**
 * Stores an object in one request.
 * @param crc CRC-32 of the bytes; it is calculated where nobody has it
 * @throws Refused when it must not replace one that is there
 */
export async function putObject(s3: S3Connection, bytes: Buffer, object: NewObject, crc?: number): Promise<void> {
  const { key, writer, signal } = object
  const doing = storing(key)
  const checksum = s3.config.checksums ? encodedCrc(crc ?? crc32(bytes)) : undefined
  const parameters = {
    ...(await newObjectParameters(s3, key, writer)),
    Body: bytes,
    ContentLength: bytes.length,
    // RADOS Gateway checks the one only where the other is named: what was damaged on the way was stored.
    ...(checksum === undefined ? {} : { ChecksumAlgorithm: 'CRC32' as const, ChecksumCRC32: checksum }),
  }
  const options = signal === undefined ? {} : { abortSignal: signal }
  try {
    await unlessThere(s3, object, async (condition) => {
      const answer = await s3.try((client) =>
        client.send(new PutObjectCommand({ ...parameters, ...condition }), options),
      )
      s3.checkReceived(checksum, answer.ChecksumCRC32, doing)
    })
  } catch (error) {
    throw s3.error(error, doing)
  }
}

/**
 * Makes an object of the parts that were uploaded.
 * @throws Refused when it must not replace one that is there; then its parts are gone. After other failures they are kept, so that the next
 * attempt goes on with them, unless they are no good themselves
 */
export async function completeObject(s3: S3Connection, upload: MultipartUpload, object: NewObject): Promise<void> {
  const size = [...upload.parts.values()].reduce((sum, part) => sum + part.size, 0)
  try {
    // Not all stores that know conditions know them here.
    if (object.ifAbsent && s3.config.conditionalWrites) await assertAbsentOrOwn(s3, object)
    await unlessThere(s3, object, (condition) => upload.complete(condition.IfNoneMatch !== undefined))
  } catch (error) {
    // The answer to an attempt that went well may have been lost.
    if (named(error, 'NoSuchUpload') && (await isDone(s3, object, size))) return
    if (isError(error, 'Refused') || named(error, 'InvalidPart', 'InvalidPartOrder')) await upload.abort()
    throw s3.error(error, storing(object.key))
  }
}

/** Runs a write under the condition that the object must not be there. */
async function unlessThere(
  s3: S3Connection,
  object: NewObject,
  write: (condition: { readonly IfNoneMatch?: '*' }) => Promise<void>,
): Promise<void> {
  if (!object.ifAbsent) return await write({})
  if (!s3.config.conditionalWrites) {
    await assertAbsentOrOwn(s3, object)
    return await write({})
  }
  try {
    await write({ IfNoneMatch: '*' })
  } catch (error) {
    if (!isRefusal(error)) throw error
    await assertAbsentOrOwn(s3, object)
    await write({})
  }
}

async function assertAbsentOrOwn(s3: S3Connection, { key, writer }: NewObject): Promise<void> {
  const there = await headObject(s3, key)
  if (there === undefined || there.writer === writer) return
  throw new TabletkeeperError('Refused', `${s3.description} has an object ${key} that this write did not store`, {
    hint: 'Somebody else has written it: look whether two runs make the same backup.',
  })
}

async function isDone(s3: S3Connection, { key, writer }: NewObject, size: number): Promise<boolean> {
  const there = await headObject(s3, key)
  return there?.writer === writer && there.size === size
}

function storing(key: string): Doing {
  return { doing: `store ${key}`, right: 's3:PutObject', key }
}
