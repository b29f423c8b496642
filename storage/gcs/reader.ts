import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { crc32c } from '@node-rs/crc32'
import { isError, messageOf, TabletkeeperError } from '../../model/errors.ts'
import { ResumingReader } from '../bucket/resuming-reader.ts'
import type { ByteRange, ObjectKey } from '../object-store.ts'
import type { GcsConnection } from './connection.ts'
import { answerError, type Fields } from './errors.ts'
import { checksumText } from './object.ts'

/**
 * Opens an object, or a range of it. Of a whole object the bytes are compared with the checksum that the bucket has of it.
 * @returns undefined when there is no such object
 * @throws CorruptBackup when it is shorter than the range
 */
export async function readObject(gcs: GcsConnection, key: ObjectKey, range?: ByteRange): Promise<Readable | undefined> {
  if (range !== undefined) assertRange(key, range)
  const answer = await open(gcs, key, range)
  if (answer === undefined) return undefined
  const { headers, body } = answer
  const size = sizeOf(headers)
  if (answer.status === 416 || (range !== undefined && size <= range.end)) {
    body.destroy()
    throw new TabletkeeperError(
      'CorruptBackup',
      `${key} has ${size} bytes, and bytes ${range?.start} to ${range?.end} were asked for`,
    )
  }
  const { start, end } = range ?? { start: 0, end: size - 1 }
  const generation = fieldOf(headers, 'x-goog-generation')
  const checksum = range === undefined ? /crc32c=([^,]+)/.exec(fieldOf(headers, 'x-goog-hash'))?.[1] : undefined
  let crc = 0
  return new ResumingReader(body, {
    start,
    end,
    again: async (rest) => {
      const again = await open(gcs, key, rest, generation)
      if (again === undefined || again.status === 416) throw replaced(gcs, key)
      return again.body
    },
    ...(checksum === undefined
      ? {}
      : {
          onBytes: (bytes) => {
            crc = crc32c(bytes, crc)
          },
          fault: () => (checksumText(crc) === checksum ? undefined : otherBytes(gcs, key)),
        }),
    error: (error, done) => brokenOff(gcs, key, error, done),
  })
}

/** An answer that has bytes, or 416; undefined when there is no such object, or no such generation of it any more. */
async function open(gcs: GcsConnection, key: ObjectKey, range: ByteRange | undefined, generation = '') {
  const doing = { doing: `read ${key}`, permission: 'storage.objects.get' }
  const path = gcs.pathOf(key, { alt: 'media', ...(generation === '' ? {} : { generation }) })
  const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` }
  const answer = await gcs.retrying(doing, undefined, async () => {
    const opened = await gcs.open(path, headers)
    if (opened.status < 300 || opened.status === 416) return { ...opened, text: '' }
    if (opened.body !== undefined) return { ...opened, text: await text(opened.body) }
    // Refusals may come without a length; those are asked for once more, to read what they say.
    return { ...(await gcs.once({ method: 'GET', path, headers })), body: undefined }
  })
  const { status, body } = answer
  if (body !== undefined && (status === 416 || status === (range === undefined ? 200 : 206))) {
    return { status, headers: answer.headers, body }
  }
  body?.destroy()
  if (status === 404) return undefined
  if (status === 200) {
    throw new TabletkeeperError(
      'InvalidConfig',
      `${gcs.description} gives all of ${key} when it is asked for a range, or does not say how long it is`,
      { hint: 'Backups are restored by ranges: look at storage.apiEndpoint, and at proxies on the way to it.' },
    )
  }
  throw answerError(gcs.description, doing, answer)
}

function fieldOf(headers: Fields, name: string): string {
  const field = headers[name]
  return typeof field === 'string' ? field : ''
}

/** Of the whole object. */
function sizeOf(headers: Fields): number {
  const total = /\/(\d+)$/.exec(fieldOf(headers, 'content-range'))?.[1]
  return Number(total ?? fieldOf(headers, 'content-length'))
}

function assertRange(key: ObjectKey, { start, end }: ByteRange): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end) return
  throw new TabletkeeperError('InvalidInput', `bytes ${start} to ${end} are no range of ${key}`)
}

function replaced(gcs: GcsConnection, key: ObjectKey): TabletkeeperError {
  return new TabletkeeperError('StorageUnavailable', `could not read ${key} in ${gcs.description}: it was replaced`)
}

function otherBytes(gcs: GcsConnection, key: ObjectKey): TabletkeeperError {
  return new TabletkeeperError('StorageUnavailable', `${gcs.description} gave other bytes of ${key} than it has`, {
    hint: 'Look at the network on the way to it: a proxy perhaps changes what goes through it.',
  })
}

function brokenOff(gcs: GcsConnection, key: ObjectKey, error: unknown, done: string): TabletkeeperError {
  if (isError(error)) return error
  return new TabletkeeperError(
    'StorageUnavailable',
    `could not read ${key} in ${gcs.description} to its end: ${done}: ${messageOf(error)}`,
    {
      cause: error,
      hint: 'Look whether Google Cloud Storage answers: its status page, and the network on the way to it.',
    },
  )
}
