import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { FILE_MODE } from '../../storage/file/durable-file.ts'
import { checksumsOf } from '../frames/checksums.ts'
import { compressFrame, FRAME_SIZE, isZero, zeroFrame } from '../frames/frame.ts'
import { formatSeekTable } from '../frames/seek-table.ts'
import { badPagesOf, type PageFormat, pageFormatOf } from '../pages/page-check.ts'
import { failingAs, TaskFailure } from '../pool/task-error.ts'
import type { CompressFile, CompressFrame, StopIfCancelled, StoredFile, StoredFrame } from '../pool/tasks.ts'
import { isHole } from './hole.ts'

/** Read, checked and compared while it is in the second-level cache. */
const SLICE = 256 * 1024

/** One for each thread, reused: what a frame is read into. */
let input: Buffer | undefined

/** Compresses one frame of an open file. */
export function compressOneFrame(task: CompressFrame): StoredFrame {
  const { descriptor, path, offset, length, level, pages, sparse } = task
  const read = isHole({ descriptor, offset, length, sparse })
    ? { zero: true, badPages: [] }
    : readInto({ descriptor, path, offset, length, pages: () => pages })
  const bytes = read.zero ? zeroFrame(length, level) : exactly(compressFrame(inputBuffer().subarray(0, length), level))
  return { bytes, ...checksumsOf(bytes), badPages: read.badPages }
}

/** Makes an object of a file that fits into one frame, and writes it to its target if it has one. */
export function compressWholeFile(file: CompressFile, level: number, stopIfCancelled: StopIfCancelled): StoredFile {
  const { source, target } = file
  const { zero, badPages } = readWhole(file)
  const frame = zero ? zeroFrame(source.size, level) : compressFrame(inputBuffer().subarray(0, source.size), level)
  const table = formatSeekTable([{ stored: frame.length, plain: source.size }])
  const about = {
    stored: frame.length + table.length,
    frame: checksumsOf(frame),
    frameLength: frame.length,
    table: checksumsOf(table),
    badPages,
  }
  if (target === undefined) return { ...about, bytes: joined(frame, table) }
  const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants
  const output = failingAs('storage', 'write', target, () =>
    openSync(target, O_WRONLY | O_CREAT | O_NOFOLLOW, FILE_MODE),
  )
  try {
    // Opening may have hung while another attempt finished this file, which O_TRUNC would have emptied.
    stopIfCancelled()
    failingAs('storage', 'write', target, () => {
      if (fstatSync(output).size > 0) ftruncateSync(output)
      writeAll(output, frame, 0)
      writeAll(output, table, frame.length)
    })
  } finally {
    // Where a network mount tells that there is no room.
    failingAs('storage', 'write', target, () => closeSync(output))
  }
  release(frame)
  return { ...about, bytes: undefined }
}

/** Writes all of `bytes` at `offset` of an open file. */
export function writeAll(descriptor: number, bytes: Uint8Array, offset: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, offset + written)
  }
}

/** In memory of its own size: what zstd writes into has room for the worst case, and is used again for the next frame. */
function exactly(frame: Buffer): Buffer {
  const bytes = Buffer.allocUnsafeSlow(frame.length)
  frame.copy(bytes)
  release(frame)
  return bytes
}

/** Gives memory back at once: waiting for the garbage collector is what makes a process grow. */
export function release({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= SLICE / 4) buffer.transfer(0)
}

function readWhole({ source, name }: CompressFile): { readonly zero: boolean; readonly badPages: readonly number[] } {
  const { path, size } = source
  const descriptor = openSource(path)
  try {
    assertSame(descriptor, source)
    let pages: PageFormat | undefined
    const read = readInto({
      descriptor,
      path,
      offset: 0,
      length: size,
      pages: (start) => {
        pages ??= pageFormatOf(name, start)
        return pages
      },
    })
    assertSame(descriptor, source)
    return read
  } finally {
    closeSync(descriptor)
  }
}

interface FrameToRead {
  readonly descriptor: number
  readonly path: string
  readonly offset: number
  readonly length: number
  /** The format of the file's pages, told by its first bytes when nobody knows it yet. */
  readonly pages: (start: Buffer) => PageFormat | undefined
}

function readInto({ descriptor, path, offset, length, pages }: FrameToRead): {
  readonly zero: boolean
  readonly badPages: number[]
} {
  const buffer = inputBuffer()
  const badPages: number[] = []
  let zero = true
  for (let at = 0; at < length; at += SLICE) {
    const end = Math.min(at + SLICE, length)
    readFully(descriptor, path, buffer, { from: at, to: end, position: offset + at })
    const slice = buffer.subarray(at, end)
    zero &&= isZero(slice)
    const format = pages(slice)
    if (format !== undefined) badPages.push(...badPagesOf(slice, (offset + at) / format.pageSize, format))
  }
  return { zero, badPages }
}

function readFully(
  descriptor: number,
  path: string,
  buffer: Buffer,
  { from, to, position }: { readonly from: number; readonly to: number; readonly position: number },
): void {
  for (let at = from; at < to; ) {
    const read = failingAs('local', 'read', path, () =>
      readSync(descriptor, buffer, at, to - at, position + (at - from)),
    )
    if (read === 0) throw new TaskFailure({ kind: 'changed', path })
    at += read
  }
}

function openSource(path: string): number {
  try {
    return failingAs('local', 'read', path, () => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW))
  } catch (error) {
    const gone =
      error instanceof TaskFailure && error.error.kind === 'local' && /^(ENOENT|ELOOP)$/.test(error.error.code ?? '')
    throw gone ? new TaskFailure({ kind: 'changed', path }) : error
  }
}

function assertSame(descriptor: number, { path, size, mtimeNs, inode }: CompressFile['source']): void {
  const now = failingAs('local', 'read', path, () => fstatSync(descriptor, { bigint: true }))
  const same = now.size === BigInt(size) && now.mtimeNs === mtimeNs && now.ino === inode
  if (!same) throw new TaskFailure({ kind: 'changed', path })
}

function inputBuffer(): Buffer {
  input ??= Buffer.allocUnsafeSlow(FRAME_SIZE)
  return input
}

function joined(frame: Buffer, table: Buffer): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(frame.length + table.length)
  frame.copy(bytes)
  table.copy(bytes, frame.length)
  release(frame)
  return bytes
}
