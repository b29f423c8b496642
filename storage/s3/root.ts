import { buffer } from 'node:stream/consumers'
import { isError } from '../../model/errors.ts'
import type { BucketRoot } from '../bucket/bucket-repository.ts'
import type { S3Connection } from './connection.ts'
import { listObjects } from './listing.ts'
import { putObject } from './object.ts'
import { readObject } from './reader.ts'
import { newUploadId } from './upload.ts'

/** What is asked of a bucket of S3 to tell which repository is in it. */
export function rootOf(s3: S3Connection): BucketRoot {
  return {
    description: s3.description,
    read: async (name) => {
      const body = await readObject(s3, name, undefined)
      return body === undefined ? undefined : (await buffer(body)).toString('utf8')
    },
    writeNew: async (name, text) => {
      try {
        await putObject(s3, Buffer.from(text), { key: name, writer: newUploadId(), ifAbsent: true })
      } catch (error) {
        if (!isError(error, 'Refused')) throw error
      }
    },
    level: (prefix) => listObjects(s3, prefix, { delimiter: '/', firstPage: true }),
  }
}
