import { constants, createReadStream, writeSync } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rm, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { isCode } from '../../mysql/system/system-error.ts'
import { closed } from '../closed.ts'
import { localFileError } from '../local-file-error.ts'

/** In either way lines go to the end of what is there, though an attempt that was left behind may still add some. */
const APPENDED = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND
const CREATED = APPENDED | constants.O_TRUNC

/** Of exactly 32 bytes: there is no room for more where they are kept. */
export const sha256 = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)

/** What the lines of a ledger are given to, each parsed from JSON. */
export interface LedgerReader {
  /**
   * The first line, which says what the ledger is of; undefined when it is no JSON.
   * @returns whether the others shall be read
   */
  header(line: unknown): boolean
  line(line: unknown): void
}

/**
 * A file of lines of JSON that only grows, one for each thing that is done for good. What is written outlives this process, not the
 * host: whoever reads it after a reboot does not trust it (`bootId`).
 */
export class LedgerFile implements AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Begins a ledger, in place of one that is there. */
  static async create(path: string): Promise<LedgerFile> {
    return await LedgerFile.#open(path, CREATED)
  }

  /** Goes on with a ledger; what stands after its first `length` bytes was written in part, and goes. */
  static async append(path: string, length: number): Promise<LedgerFile> {
    await truncate(path, length)
    return await LedgerFile.#open(path, APPENDED)
  }

  static async #open(path: string, flags: number): Promise<LedgerFile> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      return new LedgerFile(path, await open(path, flags, 0o600))
    } catch (error) {
      throw localFileError(error, 'write', path)
    }
  }

  /** Lines that are there when this returns, also if the process is killed then. Synchronous, since that costs microseconds. */
  add(...lines: readonly unknown[]): void {
    const text = Buffer.from(lines.map((line) => `${textOf(line)}\n`).join(''))
    try {
      for (let written = 0; written < text.length; ) written += writeSync(this.#file.fd, text, written)
    } catch (error) {
      throw localFileError(error, 'write', this.#path)
    }
  }

  /** Makes it durable. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  /**
   * Does what makes durable what the lines tell of. When it fails for good the ledger is void, and nobody goes on from it: a disk tells
   * once that it has lost data, and the next sync says nothing of it.
   * @throws what `action` throws
   */
  async syncing(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      if (!(isError(error) && error.retryable)) await this.#void()
      throw error
    }
  }

  /** Nothing is left to read, whoever still adds lines. */
  async #void(): Promise<void> {
    await this.#file.truncate().catch(() => {})
    await rm(this.#path, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

/**
 * Gives the lines of a ledger to `reader`, as far as it wants them. Without a ledger there are none.
 * @returns the bytes of whole lines that were read: a process that was killed may have written a part of one more
 * @throws FenceBroken when a whole line after the header is none of a ledger; Refused when it cannot be read; what `reader` throws
 */
export async function readLedgerFile(path: string, reader: LedgerReader): Promise<number> {
  let length = 0
  let last: string | undefined
  const accept = (text: string): boolean => {
    const isHeader = length === 0
    length += Buffer.byteLength(text) + 1
    if (isHeader) return reader.header(parse(text))
    const line = parse(text)
    if (line === undefined) throw ledgerBroken(path)
    reader.line(line)
    return true
  }
  const input = createReadStream(path, { flags: 'r' })
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (last !== undefined && !accept(last)) return length
      last = line
    }
  } catch (error) {
    if (isCode(error, 'ENOENT')) return 0
    throw error instanceof Error && 'syscall' in error ? localFileError(error, 'read', path) : error
  } finally {
    input.destroy()
    await closed(input)
  }
  if (last !== undefined && (await endsWithNewline(path))) accept(last)
  return length
}

/** Of this start of the host: what was written before another one may be lost. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** These two end a line for whoever reads it, though JSON has them as they are. */
function textOf(line: unknown): string {
  return JSON.stringify(line).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}

/** Undefined when it is no JSON. */
function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** A ledger that cannot be believed. */
export function ledgerBroken(path: string, cause?: unknown): TabletkeeperError {
  return new TabletkeeperError('FenceBroken', `the ledger ${path} cannot be read`, {
    cause,
    hint: 'Nothing was published or replaced. Start another run.',
  })
}

async function endsWithNewline(path: string): Promise<boolean> {
  const file = await open(path, constants.O_RDONLY)
  try {
    const { size } = await file.stat()
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
    return buffer[0] === 0x0a
  } finally {
    await file.close()
  }
}
