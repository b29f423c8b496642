import { buffer } from 'node:stream/consumers'
import { TabletkeeperError } from '../../model/errors.ts'
import type { S3Connection } from './connection.ts'
import { listObjects } from './listing.ts'
import { putObject } from './object.ts'
import { readObject } from './reader.ts'
import { newUploadId } from './upload.ts'

/** Always the same: of several who prove at once each finds what it has written itself. */
export const PROBE_TEXT = Buffer.from('tabletkeeper was here\n')

/**
 * Stores a small object under a key of our own, reads a part of it and finds it in a listing.
 * @throws StorageUnavailable when it is not what was stored; StorageDenied and its like
 */
export async function proveRoundTrip(s3: S3Connection, key: string): Promise<void> {
  await putObject(s3, PROBE_TEXT, { key, writer: newUploadId(), ifAbsent: false })
  const body = await readObject(s3, key, { start: 1, end: PROBE_TEXT.length - 1 })
  const { objects } = await listObjects(s3, key, { hidden: true, firstPage: true })
  const isListed = objects.some((one) => one.key === key && one.size === PROBE_TEXT.length)
  if (body !== undefined && PROBE_TEXT.subarray(1).equals(await buffer(body)) && isListed) return
  throw new TabletkeeperError('StorageUnavailable', `${s3.description} does not give back what was just written to it`)
}
