import { closeSync, constants, ftruncateSync, openSync, readSync } from 'node:fs'
import { messageOf } from '../../model/errors.ts'
import { alignedBuffer } from '../../mysql/system/direct-io.ts'
import { FILE_MODE } from '../../storage/file/durable-file.ts'
import { release, writeAll } from '../backup/compress-task.ts'
import { checksumsOf } from '../frames/checksums.ts'
import { decompressFrame, isZero, mayBeZeros } from '../frames/frame.ts'
import { parseSeekTable, seekTableSize } from '../frames/seek-table.ts'
import { ObjectDigest } from '../object-digest.ts'
import { badPagesOf, type PageFormat, pageFormatOf } from '../pages/page-check.ts'
import { failingAs, TaskFailure } from '../pool/task-error.ts'
import type {
  Checked,
  CheckedFile,
  OutputFile,
  RestoreFile,
  RestoreFrame,
  StopIfCancelled,
  StoredBytes,
} from '../pool/tasks.ts'

const SLICE = 256 * 1024

/** Past the page cache: more is not faster. A multiple of every block. */
const WRITTEN_AT_ONCE = 1024 * 1024

/** One for each thread, reused: what stored bytes are read into. */
let input: Buffer | undefined

/** Another one, for writing past the page cache. */
let aligned: Buffer | undefined

/** Stored frames that are known to be nothing but zeros, by their plain length. */
const zeroFrames = new Map<number, Buffer>()

/** Checks one frame and writes its plain bytes to their place; zeros stay a hole in a file that is new. */
export function restoreOneFrame(
  { key, from, length, to, pages }: RestoreFrame,
  stopIfCancelled: StopIfCancelled,
): Checked {
  const stored = readStored(key, from)
  const checksums = checksumsOf(stored)
  const plain = plainBytes(key, stored, length)
  if (plain === 'zeros') return { ...checksums, format: pages?.format, badPages: [] }
  if (to !== undefined) {
    // Reading may have hung for hours: what was staged then is the data of a mysqld that runs.
    stopIfCancelled()
    failingAs('local', 'write', to.path, () => writeFrame(to, plain))
  }
  const format = pages && (pages.format ?? (pages.offset === 0 ? pageFormatOf(pages.name, plain) : undefined))
  const badPages = format === undefined ? [] : badPagesIn(plain, pages?.offset ?? 0, format)
  release(plain)
  return { ...checksums, format, badPages }
}

/** Past the page cache where it can be had: what is restored is not read before mysqld does, which has a cache of its own. */
function writeFrame({ descriptor, direct, offset }: OutputFile & { readonly offset: number }, plain: Buffer): void {
  if (direct === undefined || plain.length % direct.block !== 0 || offset % direct.block !== 0) {
    writeAll(descriptor, plain, offset)
    return
  }
  aligned ??= alignedBuffer(WRITTEN_AT_ONCE, direct.block)
  for (let at = 0; at < plain.length; at += aligned.length) {
    const length = plain.copy(aligned, 0, at, at + aligned.length)
    writeAll(direct.descriptor, aligned.subarray(0, length), offset + at)
  }
}

/** Checks an object of one frame and writes its file. */
export function restoreWholeFile(
  { key, from, stored: size, length, to, name }: RestoreFile,
  stopIfCancelled: StopIfCancelled,
): CheckedFile {
  const stored = readStored(key, from)
  const table = stored.subarray(Math.max(0, stored.length - seekTableSize(1)))
  parseOrFail(key, table, { key, stored: size, plain: length, frameSize: Math.max(1, length) })
  const frame = stored.subarray(0, stored.length - table.length)
  const plain = plainBytes(key, frame, length)
  if (to !== undefined) {
    stopIfCancelled()
    writeFile(to, plain, length)
  }
  const format = plain === 'zeros' || name === undefined ? undefined : pageFormatOf(name, plain)
  const badPages = plain === 'zeros' || format === undefined ? [] : badPagesIn(plain, 0, format)
  if (plain !== 'zeros') release(plain)
  const digest = new ObjectDigest()
  digest.addFrame({ stored: frame.length, plain: length, ...checksumsOf(frame) })
  digest.addSeekTable({ stored: table.length, ...checksumsOf(table) })
  return { crc: digest.crc, hash: digest.hash(), badPages }
}

function parseOrFail(key: string, table: Buffer, of: Parameters<typeof parseSeekTable>[1]): void {
  try {
    parseSeekTable(table, of)
  } catch {
    throw new TaskFailure({ kind: 'corrupt', key, what: 'has no seek table that fits it' })
  }
}

/** Of the stored bytes; the view is valid until the next call. */
function readStored(key: string, from: StoredBytes): Buffer {
  if (from.kind === 'memory') return Buffer.from(from.bytes.buffer, from.bytes.byteOffset, from.bytes.byteLength)
  const { path, offset, length } = from
  if (input === undefined || input.length < length) input = Buffer.allocUnsafeSlow(Math.max(length, SLICE))
  const buffer = input.subarray(0, length)
  failingAs('storage', 'read', path, () => {
    const descriptor = openSync(path, 'r')
    try {
      for (let at = 0; at < length; ) {
        const read = readSync(descriptor, buffer, at, length - at, offset + at)
        if (read === 0) throw new TaskFailure({ kind: 'corrupt', key, what: `ends at byte ${offset + at}` })
        at += read
      }
    } finally {
      closeSync(descriptor)
    }
  })
  return buffer
}

function plainBytes(key: string, stored: Buffer, length: number): Buffer | 'zeros' {
  const maybe = mayBeZeros({ stored: stored.length })
  if (maybe && zeroFrames.get(length)?.equals(stored)) return 'zeros'
  let plain: Buffer
  try {
    plain = decompressFrame(stored, length)
  } catch (error) {
    throw new TaskFailure({ kind: 'corrupt', key, what: `cannot be decompressed: ${messageOf(error)}` })
  }
  if (plain.length !== length) {
    const what = `has a frame of ${plain.length} plain bytes instead of ${length}`
    throw new TaskFailure({ kind: 'corrupt', key, what })
  }
  if (!maybe || !isAllZero(plain)) return plain
  if (length > SLICE) zeroFrames.set(length, Buffer.from(stored))
  return 'zeros'
}

function isAllZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += SLICE) if (!isZero(bytes.subarray(at, at + SLICE))) return false
  return true
}

function badPagesIn(plain: Buffer, offset: number, format: PageFormat): number[] {
  return badPagesOf(plain, offset / format.pageSize, format)
}

function writeFile(path: string, plain: Buffer | 'zeros', length: number): void {
  failingAs('local', 'write', path, () => {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants
    const output = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE)
    try {
      if (plain === 'zeros') ftruncateSync(output, length)
      else writeAll(output, plain, 0)
    } finally {
      closeSync(output)
    }
  })
}
