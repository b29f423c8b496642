import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import type { Doing, S3Connection } from './connection.ts'
import { named } from './errors.ts'
import { newObjectParameters } from './object.ts'
import { nextMarker } from './pages.ts'

/** The store calculates the CRC-32 of the object from those of its parts, and keeps it. */
const OF_WHOLE_OBJECT = { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } as const

/** A part that the store has. */
export interface StoredPart {
  readonly size: number
  readonly etag: string
  readonly crc: string | undefined
}

/** Parts that become one object; S3 keeps them until it is completed or aborted, whoever has begun it. */
export class MultipartUpload {
  readonly key: string
  readonly uploadId: string
  /** By number; 1 is the first. */
  readonly parts = new Map<number, StoredPart>()
  readonly #s3: S3Connection

  constructor(s3: S3Connection, key: string, uploadId: string) {
    this.#s3 = s3
    this.key = key
    this.uploadId = uploadId
  }

  /** @param writer recorded with the object, so that it is known again */
  static async begin(s3: S3Connection, key: string, writer: string): Promise<MultipartUpload> {
    const parameters = await newObjectParameters(s3, key, writer)
    const answer = await s3.ask(storing(key), (client) =>
      client.send(
        new CreateMultipartUploadCommand({
          ...parameters,
          ...(s3.config.checksums ? OF_WHOLE_OBJECT : {}),
        }),
      ),
    )
    return new MultipartUpload(s3, key, answer.UploadId ?? '')
  }

  /** The one of that key that was begun last, and not before a time; with the parts that it has. */
  static async find(s3: S3Connection, key: string, notBefore: number): Promise<MultipartUpload | undefined> {
    const found = (await listMultipartUploads(s3, key)).filter(
      (upload) => upload.key === key && upload.begun.getTime() >= notBefore,
    )
    const last = found.sort((a, b) => a.begun.getTime() - b.begun.getTime()).at(-1)
    if (last === undefined) return undefined
    const upload = new MultipartUpload(s3, key, last.uploadId)
    return (await upload.#readParts()) ? upload : undefined
  }

  /** @param checksum CRC-32 of the bytes, as S3 takes it */
  async upload(number: number, bytes: Buffer, checksum: string, signal: AbortSignal): Promise<void> {
    const doing = storing(this.key, `part ${number} of `)
    const crc = this.#s3.config.checksums ? checksum : undefined
    const customer = await this.#s3.encryption.ofObject()
    const answer = await this.#s3.ask(doing, (client) =>
      client.send(
        new UploadPartCommand({
          ...this.#place(),
          ...customer,
          PartNumber: number,
          Body: bytes,
          ContentLength: bytes.length,
          ...(crc === undefined ? {} : { ChecksumCRC32: crc }),
        }),
        { abortSignal: signal },
      ),
    )
    this.#s3.checkReceived(crc, answer.ChecksumCRC32, doing)
    this.#add(number, bytes.length, answer.ETag, answer.ChecksumCRC32)
  }

  /** Makes a part of an object that the store has. */
  async copy(number: number, source: string, size: number): Promise<void> {
    const encryption = { ...(await this.#s3.encryption.ofObject()), ...(await this.#s3.encryption.ofCopySource()) }
    const { CopyPartResult } = await this.#s3.ask(storing(this.key, `part ${number} of `), (client) =>
      client.send(
        new UploadPartCopyCommand({
          ...this.#place(),
          ...encryption,
          PartNumber: number,
          CopySource: `${this.#s3.bucket}/${this.#s3.keyOf(source).split('/').map(encodeURIComponent).join('/')}`,
        }),
      ),
    )
    this.#add(number, size, CopyPartResult?.ETag, CopyPartResult?.ChecksumCRC32)
  }

  /**
   * Makes an object of the parts.
   * @throws errors of the SDK
   */
  async complete(ifAbsent: boolean): Promise<void> {
    const parts = [...this.parts].sort(([a], [b]) => a - b)
    // Of all parts or of none.
    const withCrc = parts.every(([, { crc }]) => crc !== undefined)
    const customer = await this.#s3.encryption.ofObject()
    await this.#s3.try((client) =>
      client.send(
        new CompleteMultipartUploadCommand({
          ...this.#place(),
          ...customer,
          ...(ifAbsent && this.#s3.config.conditionalWrites ? { IfNoneMatch: '*' } : {}),
          ...(this.#s3.config.checksums ? { ChecksumType: OF_WHOLE_OBJECT.ChecksumType } : {}),
          MultipartUpload: {
            Parts: parts.map(([number, { etag, crc }]) => ({
              PartNumber: number,
              ETag: etag,
              ...(withCrc ? { ChecksumCRC32: crc } : {}),
            })),
          },
        }),
      ),
    )
  }

  /** Drops the parts. That they are gone already is no error. */
  async abort(): Promise<void> {
    const doing = { doing: `abort the upload of ${this.key}`, right: 's3:AbortMultipartUpload', key: this.key }
    try {
      await this.#s3.try((client) => client.send(new AbortMultipartUploadCommand(this.#place())))
    } catch (error) {
      if (!named(error, 'NoSuchUpload')) throw this.#s3.error(error, doing)
    }
  }

  #place() {
    return { Bucket: this.#s3.bucket, Key: this.#s3.keyOf(this.key), UploadId: this.uploadId }
  }

  #add(number: number, size: number, etag: string | undefined, crc: string | undefined): void {
    this.parts.set(number, { size, etag: etag ?? '', crc })
  }

  /** @returns false when it has been completed or aborted since */
  async #readParts(): Promise<boolean> {
    const doing = { doing: `list the parts of ${this.key}`, right: 's3:ListMultipartUploadParts', key: this.key }
    const customer = await this.#s3.encryption.ofObject()
    for (let marker: string | undefined; ; ) {
      const page = { ...this.#place(), ...customer, ...(marker === undefined ? {} : { PartNumberMarker: marker }) }
      try {
        const {
          Parts = [],
          IsTruncated,
          NextPartNumberMarker,
        } = await this.#s3.try((client) => client.send(new ListPartsCommand(page)))
        for (const part of Parts) this.#add(part.PartNumber ?? 0, part.Size ?? 0, part.ETag, part.ChecksumCRC32)
        if (!IsTruncated) return true
        marker = nextMarker(this.#s3, doing, NextPartNumberMarker, marker)
      } catch (error) {
        if (named(error, 'NoSuchUpload')) return false
        throw this.#s3.error(error, doing)
      }
    }
  }
}

export interface BegunUpload {
  readonly key: string
  readonly uploadId: string
  readonly begun: Date
}

/** All uploads that were begun and not completed, of keys that start with a prefix. */
export async function listMultipartUploads(s3: S3Connection, prefix: string): Promise<readonly BegunUpload[]> {
  const doing = { doing: `list uploads of ${prefix}`, right: 's3:ListBucketMultipartUploads' }
  const found: BegunUpload[] = []
  for (let markers: { readonly KeyMarker?: string; readonly UploadIdMarker?: string | undefined } = {}; ; ) {
    const page = { Bucket: s3.bucket, Prefix: s3.keyOf(prefix), ...markers }
    const answer = await s3.ask(doing, (client) => client.send(new ListMultipartUploadsCommand(page)))
    for (const { Key, UploadId, Initiated } of answer.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined) continue
      found.push({ key: s3.nameOf(Key), uploadId: UploadId, begun: Initiated ?? new Date(0) })
    }
    if (!answer.IsTruncated) return found
    const { NextKeyMarker, NextUploadIdMarker } = answer
    // The next page may begin with another upload of the same key.
    const sent = NextUploadIdMarker === markers.UploadIdMarker ? markers.KeyMarker : undefined
    markers = { KeyMarker: nextMarker(s3, doing, NextKeyMarker, sent), UploadIdMarker: NextUploadIdMarker }
  }
}

/** Drops what was uploaded. That it is gone already is no error. */
export async function abortMultipart(s3: S3Connection, { key, uploadId }: BegunUpload): Promise<void> {
  await new MultipartUpload(s3, key, uploadId).abort()
}

function storing(key: string, part = ''): Doing {
  return { doing: `store ${part}${key}`, right: 's3:PutObject', key }
}
