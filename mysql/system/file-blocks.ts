import { fstatSync } from 'node:fs'
import { binding, systemError, waited } from './libc.ts'

const SEEK_DATA = 3
const POSIX_FADV_NOREUSE = 5
const ENXIO = 6
const EINVAL = 22
const ENOSYS = 38
const EOPNOTSUPP = 95
/** FALLOC_FL_KEEP_SIZE */
const KEEP_SIZE = 1
const FICLONE = 0x40049409

const calls = binding(({ koffi, library }) => {
  const fadvise = library.func('posix_fadvise', 'int', ['int', 'int64', 'int64', 'int'])
  const ioctl = library.func('ioctl', 'int', ['int', 'ulong', '...'])
  const fallocate = library.func('fallocate', 'int', ['int', 'int', 'int64', 'int64'])
  const lseek = library.func('lseek', 'int64', ['int', 'int64', 'int'])
  return {
    fadvise: (descriptor: number, advice: number): void => void fadvise(descriptor, 0, 0, advice),
    ficlone: (to: number, from: number): number => (ioctl(to, FICLONE, 'int', from) === 0 ? 0 : koffi.errno()),
    fallocate: (descriptor: number, offset: number, length: number): Promise<number> =>
      waited(koffi, fallocate, [descriptor, KEEP_SIZE, offset, length]),
    seekData: (descriptor: number, offset: number): { readonly at: number; readonly errno: number } => {
      const at = Number(lseek(descriptor, offset, SEEK_DATA))
      return { at, errno: at >= 0 ? 0 : koffi.errno() }
    },
  }
})

/**
 * Tells the kernel that what is read from an open file is not wanted again, so that it does not push out what is (posix_fadvise(2)).
 * It is advice: a refusal is no error.
 * @throws InvalidConfig on other systems than Linux
 */
export function adviseReadOnce(descriptor: number): void {
  calls().fadvise(descriptor, POSIX_FADV_NOREUSE)
}

/**
 * Where the first data at or after `offset` begins, in bytes; undefined when there is none up to the end (lseek(2), SEEK_DATA).
 * It moves the position of the open file: read it at positions of your own.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when it fails
 */
export function nextData(descriptor: number, offset: number): number | undefined {
  const { at, errno } = calls().seekData(descriptor, offset)
  if (errno === 0) return at
  if (errno === ENXIO) return undefined
  if (errno !== EINVAL) throw systemError('lseek', errno)
  return offset < fstatSync(descriptor).size ? offset : undefined
}

/**
 * Makes the open file `to` hold what `from` holds by sharing its blocks (ioctl_ficlone(2)), after dirty pages of that were written; what
 * `to` has beyond that stays. Both are on the same file system. Node can do it too, by name, with twice as many system calls.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when it fails
 */
export function shareBlocks(from: number, to: number): void {
  const errno = calls().ficlone(to, from)
  if (errno !== 0) throw systemError('ficlone', errno)
}

/**
 * Gives `length` bytes of an open file from `offset` on their place on the disk, so that many can write there at once (fallocate(2)).
 * The size of the file stays. Where the file system cannot, nothing happens. The call waits in another thread.
 * @throws InvalidConfig on other systems than Linux; the system's error, with its code, when there is no room
 */
export async function reserve(descriptor: number, offset: number, length: number): Promise<void> {
  const errno = await calls().fallocate(descriptor, offset, length)
  if (errno !== 0 && errno !== EOPNOTSUPP && errno !== ENOSYS) throw systemError('fallocate', errno)
}
