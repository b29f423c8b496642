import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { isDiskFull } from '../mysql/system/system-error.ts'

/** An error of the tablet's own disk, as opposed to one of the storage. */
export function localFileError(error: unknown, doing: string, path: string): TabletkeeperError {
  if (isError(error)) return error
  const message = `cannot ${doing} ${path} on the tablet's host: ${messageOf(error)}`
  if (isDiskFull(error)) {
    return new TabletkeeperError('StorageFull', message, {
      cause: error,
      hint: "Free space on the tablet's own disk; the backup storage is not full.",
    })
  }
  return new TabletkeeperError('Refused', message, {
    cause: error,
    hint: 'Look at the disk, and whether the agent runs as the user that owns the data.',
  })
}
