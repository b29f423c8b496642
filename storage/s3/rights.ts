import { UploadPartCommand } from '@aws-sdk/client-s3'
import { type Capabilities, type Right, rightTo } from '../capabilities.ts'
import type { S3Connection } from './connection.ts'
import { named } from './errors.ts'
import { abortMultipart, listMultipartUploads } from './multipart.ts'

/** An upload that nobody has begun. */
const NO_UPLOAD = '0123456789abcdef'

/** What the credentials may do about uploads that nobody has finished: asked of one of `key` that does not exist. */
export async function uploadRights(s3: S3Connection, key: string): Promise<Capabilities['unfinishedUploads']> {
  return {
    listing: await rightTo(() => listMultipartUploads(s3, key)),
    removal: await rightTo(() => abortMultipart(s3, { key, uploadId: NO_UPLOAD, begun: new Date(0) })),
  }
}

/** The right to store an object, asked with a part of an upload that does not exist: nothing is stored. */
export async function rightToCreate(s3: S3Connection, key: string): Promise<Right> {
  const place = { Bucket: s3.bucket, Key: s3.keyOf(key), UploadId: NO_UPLOAD, PartNumber: 1 }
  const customer = await s3.encryption.ofObject()
  try {
    await s3.try((client) => client.send(new UploadPartCommand({ ...place, ...customer, Body: Buffer.alloc(1) })))
    return 'allowed'
  } catch (error) {
    if (named(error, 'NoSuchUpload')) return 'allowed'
    return await rightTo(() => Promise.reject(s3.error(error, { doing: `store ${key}`, right: 's3:PutObject', key })))
  }
}
