import { TabletkeeperError } from '../../model/errors.ts'
import type { Doing, S3Connection } from './connection.ts'

/**
 * The marker that the next page of a listing is asked for with.
 * @param sent that of this page
 * @throws StorageUnavailable where there is none, or the same again: such a listing would leave something out, or never end
 */
export function nextMarker(
  s3: S3Connection,
  { doing }: Doing,
  next: string | undefined,
  sent: string | undefined,
): string {
  if (next !== undefined && next !== '' && next !== sent) return next
  throw new TabletkeeperError(
    'StorageUnavailable',
    `cannot ${doing} in ${s3.description}: it does not say where its listing goes on`,
    { hint: 'Look at the gateway or proxy that answers: it ends long listings otherwise than S3 does.' },
  )
}
