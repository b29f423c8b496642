import { type ErrorType, isError, messageOf, TabletkeeperError } from '../../model/errors.ts'

/** What was being done to what, for the message: `store commerce/0/x/1` in `file:/mnt/backups`. */
export interface FileOperation {
  readonly store: string
  readonly doing: string
}

const DISK_FULL = {
  type: 'StorageFull',
  hint: 'Free space or raise the quota there, then start the run again.',
} as const
const DENIED = {
  type: 'StorageDenied',
  hint: 'Give the user that tabletkeeper runs as the right to read and write there.',
} as const
const BAD_KEY = { type: 'InvalidInput', hint: 'One name is that of a directory of another, or is too long.' } as const

const KINDS: Readonly<Record<string, { readonly type: ErrorType; readonly hint: string }>> = {
  ENOSPC: DISK_FULL,
  EDQUOT: DISK_FULL,
  EFBIG: DISK_FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: { type: 'StorageDenied', hint: 'It is mounted read-only: mount it for writing.' },
  ENAMETOOLONG: BAD_KEY,
  ENOTDIR: BAD_KEY,
  EISDIR: BAD_KEY,
}

/** Everything else is of the moment or of the mount (EIO, ESTALE, ETIMEDOUT, ENOTCONN, EMFILE, …): it may go away. */
const OTHERWISE = { type: 'StorageUnavailable', hint: 'Look at the mount: can you list and write it by hand?' } as const

/** The system's code of an error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** An error of the file system in the words of the store's contract; errors that are so already stay as they are. */
export function storageError(error: unknown, { store, doing }: FileOperation): TabletkeeperError {
  if (isError(error)) return error
  const { type, hint } = KINDS[codeOf(error) ?? ''] ?? OTHERWISE
  return new TabletkeeperError(type, `cannot ${doing} in ${store}: ${messageOf(error)}`, { hint, cause: error })
}

/** Runs `action`; what the file system says against it is thrown as the store's contract wants it. */
export async function translated<T>(operation: FileOperation, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw storageError(error, operation)
  }
}

/** What tells that data which were written before are lost. A network mount may tell it when the file is closed. */
const SYNC_CALLS: ReadonlySet<unknown> = new Set(['syncfs', 'fsync', 'fdatasync', 'close'])

/**
 * What could not be written to its disk is lost, though the next sync says nothing of it: it tells of a failure once. So nobody may go on
 * with the upload.
 */
export async function syncing(operation: FileOperation, action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    const { type, message } = storageError(error, operation)
    if (!(error instanceof Error && 'syscall' in error && SYNC_CALLS.has(error.syscall))) throw error
    throw new TabletkeeperError(type, message, {
      cause: error,
      retryable: false,
      hint: 'What was written may be lost: look at the disk or the mount, then start another run.',
    })
  }
}
