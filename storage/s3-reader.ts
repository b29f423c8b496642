import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import type { ByteRange, ObjectKey } from './object-store.ts'
import type { Doing, S3Connection } from './s3-connection.ts'
import { isMissing, isRefusal, named } from './s3-errors.ts'

/** Answers that may break off one after another without a byte. */
const BARREN_ANSWERS = 5
/** Answers that one object or range may take in all. */
const ANSWERS = 50

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
  if (range !== undefined && (size <= range.end || answer.ContentRange === undefined)) {
    body.destroy()
    throw size <= range.end ? shorter(key, range, size) : ignored(key, s3)
  }
  const { start, end } = range ?? { start: 0, end: size - 1 }
  const again = async (from: number) => bodyOf(await request({ start: from, end }, answer.ETag))
  return new S3Reader(body, { start, end, again, error: (error) => s3.error(error, doing), doing })
}

interface Reading extends ByteRange {
  /** Asks for what is left, from a byte on. */
  again(from: number): Promise<Readable>
  error(error: unknown): TabletkeeperError
  readonly doing: Doing
}

/** Gives every byte of a range: where an answer breaks off, it asks again for the rest of the same object. */
class S3Reader extends Readable {
  readonly #reading: Reading
  #body: Readable
  #at: number
  #isWhole = false
  #answers = 1
  #barren = 0

  constructor(body: Readable, reading: Reading) {
    super({ highWaterMark: 1024 * 1024 })
    this.#reading = reading
    this.#at = reading.start
    this.#body = this.#follow(body)
  }

  override _read(): void {
    this.#body.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#body.destroy()
    done(error)
  }

  #follow(body: Readable): Readable {
    body.pause()
    body.on('data', (bytes: Buffer) => {
      this.#barren = 0
      this.#at += bytes.length
      if (!this.push(bytes)) body.pause()
    })
    const ended = (error?: unknown) => {
      if (this.destroyed || this.#isWhole || body !== this.#body) return
      if (this.#at <= this.#reading.end) void this.#goOn(error ?? new Error('the answer ended too early'))
      // All bytes are there, and are not those that were stored.
      else if (error !== undefined) this.destroy(this.#failure(error))
      else this.#end()
    }
    body.once('end', ended)
    body.once('error', ended)
    body.once('close', ended)
    return body
  }

  #end(): void {
    this.#isWhole = true
    this.push(null)
  }

  async #goOn(why: unknown): Promise<void> {
    this.#answers += 1
    this.#barren += 1
    // Nothing more comes by the old one.
    this.#body = new Readable({ read() {} })
    try {
      if (this.#answers > ANSWERS || this.#barren > BARREN_ANSWERS) throw why
      await pause(100 * 2 ** this.#barren * Math.random())
      if (this.destroyed) return
      const body = await this.#reading.again(this.#at)
      if (this.destroyed) {
        body.destroy()
        return
      }
      this.#body = this.#follow(body)
      this.#body.resume()
    } catch (error) {
      this.destroy(this.#failure(error))
    }
  }

  #failure(error: unknown): TabletkeeperError {
    const { doing, start, end } = this.#reading
    if (isRefusal(error)) {
      return new TabletkeeperError('StorageUnavailable', `could not ${doing.doing}: it was replaced meanwhile`, {
        cause: error,
      })
    }
    if (error instanceof Error && '$metadata' in error) return this.#reading.error(error)
    if (isError(error)) return error
    const done = `at byte ${this.#at - start} of ${end + 1 - start}`
    return new TabletkeeperError(
      'StorageUnavailable',
      `could not ${doing.doing} to its end: ${done}: ${messageOf(error)}`,
      {
        cause: error,
        hint: 'Look whether the store answers: its status, and the network on the way to it.',
      },
    )
  }
}

function bodyOf({ Body }: GetObjectCommandOutput): Readable {
  if (Body instanceof Readable) return Body
  throw new TypeError('the SDK gave no stream')
}

/** Of the whole object. */
function sizeOf({ ContentRange, ContentLength }: GetObjectCommandOutput): number {
  const total = /\/(\d+)$/.exec(ContentRange ?? '')?.[1]
  return total === undefined ? (ContentLength ?? 0) : Number(total)
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

function shorter(key: ObjectKey, range: ByteRange | undefined, size?: number): TabletkeeperError {
  const has = size === undefined ? 'fewer' : `only ${size}`
  return new TabletkeeperError(
    'CorruptBackup',
    `${key} has ${has} bytes, and bytes ${range?.start} to ${range?.end} were asked for`,
  )
}
