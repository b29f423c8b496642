import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { isError } from '../../model/errors.ts'
import type { S3Connection } from './connection.ts'
import { MultipartUpload } from './multipart.ts'
import { completeObject, headObject } from './object.ts'

/** Below it are segments on their way into their objects: hidden, and to be removed by who finds them later. */
export const SEGMENTS = '.tmp/'

/**
 * A piece of a very large object (parts.ts): uploaded in parts as an object of its own, then copied by the store into one part of the
 * object that it belongs to.
 */
export class Segment {
  readonly #s3: S3Connection
  readonly #writer: string
  readonly #target: MultipartUpload
  /** The part of the target that it becomes. */
  readonly #number: number
  readonly upload: MultipartUpload

  private constructor(
    s3: S3Connection,
    writer: string,
    target: MultipartUpload,
    number: number,
    upload: MultipartUpload,
  ) {
    this.#s3 = s3
    this.#writer = writer
    this.#target = target
    this.#number = number
    this.upload = upload
  }

  static async begin(s3: S3Connection, writer: string, target: MultipartUpload, number: number): Promise<Segment> {
    const upload = await MultipartUpload.begin(s3, segmentKey(target.key, writer, number), writer)
    return new Segment(s3, writer, target, number, upload)
  }

  /**
   * What an earlier process has uploaded of it; a segment that it has completed and not copied is copied now.
   * @returns undefined when there is nothing to go on with
   */
  static async find(
    s3: S3Connection,
    writer: string,
    target: MultipartUpload,
    number: number,
    { notBefore, size }: { readonly notBefore: number; readonly size: number },
  ): Promise<Segment | undefined> {
    const key = segmentKey(target.key, writer, number)
    const upload = await MultipartUpload.find(s3, key, notBefore)
    if (upload !== undefined) return new Segment(s3, writer, target, number, upload)
    const whole = await headObject(s3, key)
    if (whole?.size === size) {
      await target.copy(number, key, size)
      await removeSegment(s3, key)
    }
    return undefined
  }

  /** Makes it a part of its object; nothing of it is left. */
  async finish(): Promise<void> {
    const { key, parts } = this.upload
    const size = [...parts.values()].reduce((sum, part) => sum + part.size, 0)
    await completeObject(this.#s3, this.upload, { key, writer: this.#writer, ifAbsent: false })
    await this.#target.copy(this.#number, key, size)
    await removeSegment(this.#s3, key)
  }
}

function segmentKey(key: string, writer: string, number: number): string {
  return `${SEGMENTS}${key}/${writer}-${number}`
}

/** One that may not be removed by this process is removed with the backup. */
async function removeSegment(s3: S3Connection, key: string): Promise<void> {
  const doing = { doing: `remove ${key}`, right: 's3:DeleteObject', key }
  try {
    await s3.ask(doing, (client) => client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: s3.keyOf(key) })))
  } catch (error) {
    if (!isError(error, 'StorageDenied')) throw error
  }
}
