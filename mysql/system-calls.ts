import { close, fstatSync, open } from 'node:fs'
import { createRequire } from 'node:module'
import { getSystemErrorName, promisify } from 'node:util'
import { TabletkeeperError } from '../model/errors.ts'

const SEEK_DATA = 3
const SEEK_HOLE = 4
const POSIX_FADV_NOREUSE = 5
const ENXIO = 6
const EINVAL = 22
const ENOSYS = 38
const EOPNOTSUPP = 95
const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3
/** glibc refuses more. */
const LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
/** FALLOC_FL_KEEP_SIZE */
const KEEP_SIZE = 1
const FICLONE = 0x40049409

const openFile = promisify(open)
const closeFile = promisify(close)

/**
 * Makes everything durable that was written to the file system of `path`, by whomever (syncfs(2)). The call waits in another thread.
 * Before Linux 5.8 it keeps silent about data that could not be written.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when it fails
 */
export async function syncFileSystem(path: string): Promise<void> {
  const { syncfs } = libc()
  const descriptor = await openFile(path, 'r')
  try {
    const errno = await syncfs(descriptor)
    if (errno !== 0) throw systemError('syncfs', errno, path)
  } finally {
    await closeFile(descriptor)
  }
}

/**
 * Tells the kernel that what is read from an open file is not wanted again, so that it does not push out what is (posix_fadvise(2)).
 * It is advice: a refusal is no error.
 * @throws InvalidConfig on other systems than Linux
 */
export function adviseReadOnce(descriptor: number): void {
  libc().fadvise(descriptor, POSIX_FADV_NOREUSE)
}

/**
 * Where the first data at or after `offset` begins, in bytes; undefined when there is none up to the end (lseek(2), SEEK_DATA).
 * It moves the position of the open file: read it at positions of your own.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when it fails
 */
export function nextData(descriptor: number, offset: number): number | undefined {
  const { at, errno } = libc().lseek(descriptor, offset, SEEK_DATA)
  if (errno === 0) return at
  if (errno === ENXIO) return undefined
  if (errno !== EINVAL) throw systemError('lseek', errno)
  return offset < fstatSync(descriptor).size ? offset : undefined
}

/**
 * Where the first hole at or after `offset` begins, in bytes: the end of the file at the latest, or `offset` when that is beyond it
 * (lseek(2), SEEK_HOLE). As `nextData` otherwise.
 */
export function nextHole(descriptor: number, offset: number): number {
  const { at, errno } = libc().lseek(descriptor, offset, SEEK_HOLE)
  if (errno === 0) return at
  if (errno === ENXIO) return offset
  if (errno !== EINVAL) throw systemError('lseek', errno)
  return Math.max(offset, fstatSync(descriptor).size)
}

/**
 * Makes the open file `to` hold what `from` holds by sharing its blocks (ioctl_ficlone(2)), after dirty pages of that were written; what
 * `to` has beyond that stays. Both are on the same file system. Node can do it too, by name, with twice as many system calls.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when it fails
 */
export function shareBlocks(from: number, to: number): void {
  const errno = libc().ficlone(to, from)
  if (errno !== 0) throw systemError('ficlone', errno)
}

/**
 * Memory that begins at a multiple of `alignment` bytes, as files that are opened with O_DIRECT want it.
 * @throws InvalidConfig on other systems than Linux
 */
export function alignedBuffer(size: number, alignment: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(size + alignment)
  const over = Number(libc().addressOf(buffer) % BigInt(alignment))
  return buffer.subarray(alignment - over, alignment - over + size)
}

/**
 * Gives `length` bytes of an open file from `offset` on their place on the disk, so that many can write there at once (fallocate(2)).
 * The size of the file stays. Where the file system cannot, nothing happens. The call waits in another thread.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when there is no room
 */
export async function reserve(descriptor: number, offset: number, length: number): Promise<void> {
  const errno = await libc().fallocate(descriptor, offset, length)
  if (errno !== 0 && errno !== EOPNOTSUPP && errno !== ENOSYS) throw systemError('fallocate', errno)
}

/**
 * Makes the allocator give back memory beyond `bytes` that is free at the end of one of its heaps (mallopt(3), M_TRIM_THRESHOLD). On its
 * own glibc lets such rests grow to 64 MiB for each heap, and each thread may have one. Other allocators do not know it: nothing happens.
 * @throws InvalidConfig on other systems than Linux
 */
export function trimHeapsEarly(bytes: number): void {
  const { mallopt } = libc()
  mallopt?.(M_TRIM_THRESHOLD, bytes)
  // To set the one stops glibc from adapting the other: large blocks would be mapped, and their pages faulted in, each time.
  mallopt?.(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
}

/** The calls that Node lacks; `errno` is 0 when one succeeded. */
interface Libc {
  syncfs(descriptor: number): Promise<number>
  fadvise(descriptor: number, advice: number): void
  ficlone(to: number, from: number): number
  /** Undefined where the C library has none. */
  readonly mallopt: ((parameter: number, value: number) => void) | undefined
  addressOf(buffer: Buffer): bigint
  fallocate(descriptor: number, offset: number, length: number): Promise<number>
  lseek(descriptor: number, offset: number, whence: number): { readonly at: number; readonly errno: number }
}

let loaded: Libc | undefined

/** Loaded by the first call, and at once: those who ask for holes in a worker thread do not wait for promises. */
function libc(): Libc {
  loaded ??= bindLibc()
  return loaded
}

function bindLibc(): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new TabletkeeperError('InvalidConfig', `backups cannot be copied on ${process.platform} (${process.arch})`, {
      hint: 'Only Linux on x86_64 and arm64 is supported.',
    })
  }
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi')
  const library = koffi.load(null)
  const syncfs = library.func('syncfs', 'int', ['int'])
  const fadvise = library.func('posix_fadvise', 'int', ['int', 'int64', 'int64', 'int'])
  const ioctl = library.func('ioctl', 'int', ['int', 'ulong', '...'])
  const fallocate = library.func('fallocate', 'int', ['int', 'int', 'int64', 'int64'])
  const lseek = library.func('lseek', 'int64', ['int', 'int64', 'int'])
  const mallopt = optional(() => library.func('mallopt', 'int', ['int', 'int']))
  /** Calls in another thread. */
  const waited = (call: ReturnType<typeof library.func>, args: readonly number[]): Promise<number> =>
    new Promise((resolve, reject) => {
      // koffi keeps each call's errno for its callback.
      call.async(...args, (error: unknown, status: unknown) => {
        if (error) reject(error)
        else resolve(status === 0 ? 0 : koffi.errno())
      })
    })
  return {
    syncfs: (descriptor) => waited(syncfs, [descriptor]),
    fadvise: (descriptor, advice) => void fadvise(descriptor, 0, 0, advice),
    fallocate: (...args) => waited(fallocate, [args[0], KEEP_SIZE, args[1], args[2]]),
    mallopt,
    addressOf: (buffer) => koffi.address(buffer),
    ficlone: (to, from) => (ioctl(to, FICLONE, 'int', from) === 0 ? 0 : koffi.errno()),
    lseek: (descriptor, offset, whence) => {
      const at = Number(lseek(descriptor, offset, whence))
      return { at, errno: at >= 0 ? 0 : koffi.errno() }
    },
  }
}

function systemError(call: string, errno: number, path?: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno)
  const message = `${code}: ${call} failed${path === undefined ? '' : `, ${path}`}`
  return Object.assign(new Error(message), { errno: -errno, code, syscall: call, ...(path !== undefined && { path }) })
}

function optional<Call>(bind: () => Call): Call | undefined {
  try {
    return bind()
  } catch {
    return undefined
  }
}
