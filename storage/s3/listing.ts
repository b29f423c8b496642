import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { isError } from '../../model/errors.ts'
import type { Listing, ObjectInfo } from '../object-store.ts'
import type { S3Connection } from './connection.ts'
import { listMultipartUploads } from './multipart.ts'
import { wholeSeconds } from './object.ts'
import { nextMarker } from './pages.ts'

export interface ListingOptions {
  /** Only one level, whose prefixes end in it. */
  readonly delimiter?: '/' | undefined
  /** Whether objects of our own are shown too. */
  readonly hidden?: boolean
  /** Whether the first thousand are enough. */
  readonly firstPage?: boolean
}

/** Objects whose keys start with a prefix, sorted. */
export async function listObjects(s3: S3Connection, prefix: string, options: ListingOptions = {}): Promise<Listing> {
  const doing = { doing: prefix === '' ? 'list objects' : `list ${prefix}`, right: 's3:ListBucket' }
  const { delimiter, hidden = false, firstPage = false } = options
  const objects: ObjectInfo[] = []
  const prefixes: string[] = []
  const isShown = (key: string) => hidden || key.split('/').every((part) => !part.startsWith('.'))
  for (let token: string | undefined; ; ) {
    const page = {
      Bucket: s3.bucket,
      Prefix: s3.keyOf(prefix),
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    }
    const answer = await s3.ask(doing, (client) => client.send(new ListObjectsV2Command(page)))
    for (const { Key, Size = 0, LastModified } of answer.Contents ?? []) {
      const key = s3.nameOf(Key ?? '')
      // What ends in a slash is a directory that some tool has drawn.
      if (isShown(key) && !key.endsWith('/') && key !== '')
        objects.push({ key, size: Size, modified: wholeSeconds(LastModified) })
    }
    for (const { Prefix = '' } of answer.CommonPrefixes ?? []) {
      const name = s3.nameOf(Prefix)
      if (isShown(name)) prefixes.push(name)
    }
    if (!answer.IsTruncated || firstPage) break
    token = nextMarker(s3, doing, answer.NextContinuationToken, token)
  }
  return { objects: objects.sort((a, b) => (a.key < b.key ? -1 : 1)), prefixes: prefixes.sort() }
}

/** One level, with the prefixes below which nothing but multipart uploads is left, where we may look for them. */
export async function listLevel(s3: S3Connection, prefix: string): Promise<Listing> {
  const [{ objects, prefixes }, begun] = await Promise.all([
    listObjects(s3, prefix, { delimiter: '/' }),
    prefixesOfUploads(s3, prefix),
  ])
  return { objects, prefixes: [...new Set([...prefixes, ...begun])].sort() }
}

/** Not by the store's own delimiter: Ceph does not know it here. Few uploads are unfinished at a time. */
async function prefixesOfUploads(s3: S3Connection, prefix: string): Promise<readonly string[]> {
  try {
    return (await listMultipartUploads(s3, prefix)).flatMap(({ key }) => {
      const end = key.indexOf('/', prefix.length)
      return end < 0 || key.startsWith('.') ? [] : [key.slice(0, end + 1)]
    })
  } catch (error) {
    if (isError(error, 'StorageDenied', 'InvalidConfig')) return []
    throw error
  }
}
