import { close, open } from 'node:fs'
import { promisify } from 'node:util'
import { TabletkeeperError } from '../../model/errors.ts'
import { binding } from './libc.ts'

/** A lock that lasts until it is released or this process ends, however it ends. */
export interface FileLock extends AsyncDisposable {
  /** The open file. A child process that inherits it holds the lock too, and keeps it until it ends. */
  readonly descriptor: number
  release(): Promise<void>
}

/**
 * Who holds a lock: a process, as mysqld does (`pid` is undefined when it is in another PID namespace), or an open file, as `lockFile`
 * of this or another agent does.
 */
export type LockHolder = { readonly kind: 'process'; readonly pid: number | undefined } | { readonly kind: 'open file' }

/** `struct flock` of 64-bit Linux (x86_64, arm64); `type` and `whence` are shorts. */
interface Flock {
  type: number
  readonly whence: number
  readonly start: number
  readonly length: number
  readonly pid: number
}

const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
const F_WRLCK = 1
const F_UNLCK = 2
const EAGAIN = 11
const EACCES = 13

const openFile = promisify(open)
const closeFile = promisify(close)

/**
 * Locks the whole of an existing file against every other process, mysqld included: it does not start while this is held.
 * The lock belongs to the open file (`F_OFD_SETLK`, fcntl(2)), so that nothing else in this process can drop it by accident.
 * @returns undefined when somebody holds a lock on it
 * @throws InvalidConfig on other systems than Linux, or when the file system cannot lock; the system's error when the file does not exist
 */
export async function lockFile(path: string): Promise<FileLock | undefined> {
  const { fcntl } = calls()
  // A descriptor number, not a FileHandle: that would be closed, and the lock lost, when it is garbage collected.
  const descriptor = await openFile(path, 'r+')
  const { failure } = fcntl(descriptor, F_OFD_SETLK)
  if (failure !== undefined) {
    await closeFile(descriptor)
    if (failure === EAGAIN || failure === EACCES) return undefined
    throw cannotLock(path, failure)
  }
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    await closeFile(descriptor)
  }
  return { descriptor, release, [Symbol.asyncDispose]: release }
}

/**
 * Tells who would keep `lockFile` from locking an existing file, without touching any lock.
 * @throws as `lockFile`
 */
export async function lockHolder(path: string): Promise<LockHolder | undefined> {
  const { fcntl } = calls()
  const descriptor = await openFile(path, 'r')
  try {
    const { failure, flock } = fcntl(descriptor, F_OFD_GETLK)
    if (failure !== undefined) throw cannotLock(path, failure)
    if (flock.type === F_UNLCK) return undefined
    return flock.pid === -1 ? { kind: 'open file' } : { kind: 'process', pid: flock.pid > 0 ? flock.pid : undefined }
  } finally {
    await closeFile(descriptor)
  }
}

const calls = binding(({ koffi, library }) => {
  const flockType = koffi.struct({
    type: 'int16',
    whence: 'int16',
    start: 'int64',
    length: 'int64',
    pid: 'int32',
  })
  const pointer = koffi.inout(koffi.pointer(flockType))
  const native = library.func('fcntl', 'int', ['int', 'int', '...'])
  return {
    fcntl: (descriptor: number, command: number): { readonly failure: number | undefined; readonly flock: Flock } => {
      const flock: Flock = { type: F_WRLCK, whence: 0, start: 0, length: 0, pid: 0 }
      const status: unknown = native(descriptor, command, pointer, flock)
      return { failure: status === 0 ? undefined : koffi.errno(), flock }
    },
  }
})

function cannotLock(path: string, errno: number): TabletkeeperError {
  return new TabletkeeperError('InvalidConfig', `${path} cannot be locked (fcntl: errno ${errno})`, {
    hint: 'The data directory has to be on a file system with locks of open files (F_OFD_SETLK); a network file system may need its lock service.',
  })
}
