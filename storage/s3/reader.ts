import { Readable } from 'node:stream'
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { isError, messageOf, TabletkeeperError } from '../../model/errors.ts'
import { ResumingReader } from '../bucket/resuming-reader.ts'
import type { ByteRange, ObjectKey } from '../object-store.ts'
import type { Doing, S3Connection } from './connection.ts'
import { isMissing, isRefusal, named } from './errors.ts'

/**
 * Opens an object, or a range of it.
 * @returns undefined when there is no such object
 * @throws CorruptBackup when it is shorter than the range
 */
export async function readObject(
  s3: S3Connection,
  key: ObjectKey,
  range: ByteRange | undefined,
): Promise<Readable | undefined> {
  if (range !== undefined) assertRange(key, range)
  const doing = { doing: `read ${key}`, right: 's3:GetObject', key }
  const request = async (asked: ByteRange | undefined, etag?: string) => {
    const parameters = {
      Bucket: s3.bucket,
      Key: s3.keyOf(key),
      // Of a range the store has no checksum.
      ...(asked === undefined
        ? { ...(s3.config.checksums ? { ChecksumMode: 'ENABLED' as const } : {}) }
        : { Range: `bytes=${asked.start}-${asked.end}` }),
      ...(etag === undefined ? {} : { IfMatch: etag }),
      ...(await s3.encryption.ofObject()),
    }
    return await s3.try((client) => client.send(new GetObjectCommand(parameters)))
  }
  let answer: GetObjectCommandOutput
  try {
    answer = await request(range)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw named(error, 'InvalidRange') ? shorter(key, range) : s3.error(error, doing)
  }
  const body = bodyOf(answer)
  const size = sizeOf(answer)
  const isShorter = range !== undefined && size !== undefined && size <= range.end
  if (range !== undefined && (isShorter || !beginsAt(answer, range.start))) {
    body.destroy()
    if (isShorter) throw shorter(key, range, size)
    throw answer.ContentRange === undefined ? ignored(key, s3) : otherRange(key, s3)
  }
  const { start, end } = range ?? { start: 0, end: size === undefined ? undefined : size - 1 }
  return new ResumingReader(body, {
    start,
    end,
    again: async (rest) => {
      // Who has nothing yet needs no range.
      const asked = range === undefined && rest.start === 0 ? undefined : rest
      const again = await request(asked, answer.ETag)
      if (asked === undefined || beginsAt(again, asked.start)) return bodyOf(again)
      bodyOf(again).destroy()
      throw otherRange(key, s3)
    },
    error: (error, done) => failure(s3, doing, error, done),
  })
}

function failure(s3: S3Connection, doing: Doing, error: unknown, done: string): TabletkeeperError {
  if (isRefusal(error)) {
    return new TabletkeeperError('StorageUnavailable', `could not ${doing.doing}: it was replaced meanwhile`, {
      cause: error,
    })
  }
  if (error instanceof Error && '$metadata' in error) return s3.error(error, doing)
  if (isError(error)) return error
  return new TabletkeeperError(
    'StorageUnavailable',
    `could not ${doing.doing} to its end: ${done}: ${messageOf(error)}`,
    {
      cause: error,
      hint: 'Look whether the store answers: its status, and the network on the way to it.',
    },
  )
}

function bodyOf({ Body }: GetObjectCommandOutput): Readable {
  if (Body instanceof Readable) return Body
  throw new TypeError('the SDK gave no stream')
}

/** Of the whole object; undefined where the answer does not say it. */
function sizeOf({ ContentRange, ContentLength }: GetObjectCommandOutput): number | undefined {
  if (ContentRange === undefined) return ContentLength
  const total = /\/(\d+)$/.exec(ContentRange)?.[1]
  return total === undefined ? undefined : Number(total)
}

/** Whether it is an answer to who asked for bytes from `start` on. */
function beginsAt({ ContentRange }: GetObjectCommandOutput, start: number): boolean {
  return ContentRange?.startsWith(`bytes ${start}-`) ?? false
}

function assertRange(key: ObjectKey, { start, end }: ByteRange): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end) return
  throw new TabletkeeperError('InvalidInput', `bytes ${start} to ${end} are no range of ${key}`)
}

function ignored(key: ObjectKey, s3: S3Connection): TabletkeeperError {
  return new TabletkeeperError(
    'InvalidConfig',
    `${s3.description} gives all of ${key} when it is asked for a range of it`,
    {
      hint: 'Backups are restored by ranges: use another store, or go to this one without a proxy.',
    },
  )
}

function otherRange(key: ObjectKey, s3: S3Connection): TabletkeeperError {
  return new TabletkeeperError(
    'StorageUnavailable',
    `${s3.description} gave other bytes of ${key} than those that it was asked for`,
    { hint: 'Look at the network on the way to it: a proxy perhaps ignores which range was asked for.' },
  )
}

function shorter(key: ObjectKey, range: ByteRange | undefined, size?: number): TabletkeeperError {
  const has = size === undefined ? 'fewer' : `only ${size}`
  return new TabletkeeperError(
    'CorruptBackup',
    `${key} has ${has} bytes, and bytes ${range?.start} to ${range?.end} were asked for`,
  )
}
