import { type Capabilities, rightTo } from './capabilities.ts'
import type { S3Connection } from './s3-connection.ts'
import { abortMultipart, listMultipartUploads } from './s3-multipart.ts'

/** An upload that nobody has begun. */
const NO_UPLOAD = '0123456789abcdef'

/** What the credentials may do about uploads that nobody has finished: asked of one of `key` that does not exist. */
export async function uploadRights(s3: S3Connection, key: string): Promise<Capabilities['unfinishedUploads']> {
  return {
    listing: await rightTo(() => listMultipartUploads(s3, key)),
    removal: await rightTo(() => abortMultipart(s3, { key, uploadId: NO_UPLOAD, begun: new Date(0) })),
  }
}
