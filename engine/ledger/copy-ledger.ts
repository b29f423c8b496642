import { createHash } from 'node:crypto'
import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import type { CopiedFile } from '../backup/copied-file.ts'
import type { FrameDigest } from '../object-digest.ts'
import { type BadPageOfFile, FirstBadPages } from '../pages/first-bad-pages.ts'
import { CopyState, type Header, readCopyLines } from './copy-ledger-lines.ts'
import { bootId, LedgerFile, ledgerBroken } from './ledger-file.ts'
import { RecordedFrames } from './recorded-frames.ts'

/** What is known before anything is copied. */
export type CopyHeader = Omit<Header, 'ledger' | 'files' | 'store' | 'upload' | 'compressor' | 'boot'>

/** What a copy is bound to: only the same one can be continued. */
export type CopyBinding = CopyHeader & Omit<Header, 'ledger' | 'upload'>

/** More are only counted. */
const PAGES_KEPT = 1000

/** What a finished copy says of itself: enough to publish it. */
export interface CopyRecord extends CopyHeader {
  /** In the order of their objects: 0, 1, … */
  readonly files: readonly CopiedFile[]
  readonly badPages: number
  /** The first of them. */
  readonly firstBadPages: readonly BadPageOfFile[]
  readonly finishedAt: string
}

/** What a copy has done, over all attempts. */
export interface CopyTotals {
  readonly files: number
  readonly dataBytes: number
  readonly storedBytes: number
  /** How many pages had a wrong checksum on the tablet already. */
  readonly badPages: number
}

/**
 * The record, on the tablet's own host, of what one run has copied: lists of files never pass through Temporal, and an attempt that
 * follows one that died copies only what is missing.
 */
export class CopyLedger implements AsyncDisposable {
  readonly upload: string
  readonly #file: LedgerFile
  readonly #state: CopyState

  private constructor(file: LedgerFile, upload: string, state: CopyState) {
    this.#file = file
    this.upload = upload
    this.#state = state
  }

  /** Begins a ledger for the copy of `count` files. */
  static async create(path: string, binding: CopyBinding, upload: string, count: number): Promise<CopyLedger> {
    const file = await LedgerFile.create(path)
    file.add({ ledger: 1, ...binding, upload })
    return new CopyLedger(file, upload, new CopyState(count))
  }

  /**
   * Goes on with the ledger of an earlier attempt. Undefined when there is none, or one that this attempt cannot continue byte for byte:
   * another run's, by another compressor, of another start of the host.
   * @throws FenceBroken when it is this run's and the files are not what they were
   */
  static async resume(path: string, binding: CopyBinding, count: number): Promise<CopyLedger | undefined> {
    const isWanted = (header: Header): boolean => isSameCopy(header, binding)
    const found = await readCopyLines(path, { count, isWanted }).catch((error: unknown) => {
      // Another run's ledger may be of another version, and is of no use anyway.
      if (error instanceof z.ZodError) return undefined
      throw error
    })
    if (found === undefined) return undefined
    const { header, state, length } = found
    return new CopyLedger(await LedgerFile.append(path, length), header.upload, state)
  }

  get totals(): CopyTotals {
    const { files, dataBytes, storedBytes, badPages } = this.#state
    return { files, dataBytes, storedBytes, badPages }
  }

  /** Whether everything was stored and the fence held. */
  get isFinished(): boolean {
    return this.#state.finishedAt !== undefined
  }

  has(index: number): boolean {
    return this.#state.done[index] === 1
  }

  /**
   * Frames of an object that an earlier attempt stored and did not finish, those that lie within its first `bytes` stored bytes; what
   * came after them counts as lost.
   */
  framesWithin(index: number, bytes: number): Iterable<FrameDigest> & { readonly length: number } {
    const frames = this.#state.frames.get(index) ?? new RecordedFrames()
    let kept = 0
    let end = 0
    for (const { stored } of frames) {
      end += stored
      if (end > bytes) break
      kept += 1
    }
    if (kept < frames.length) {
      this.#file.add(['restart', index, kept])
      this.#state.restart(index, kept)
    }
    return frames
  }

  /** Stored bytes of the frames of an object that is not finished. */
  storedOf(index: number): number {
    let bytes = 0
    for (const { stored } of this.#state.frames.get(index) ?? []) bytes += stored
    return bytes
  }

  addFrame(index: number, { plain, stored, crc, sha }: FrameDigest, badPages: readonly number[]): void {
    this.#file.add(['frame', index, plain, stored, crc, Buffer.from(sha).toString('base64'), badPages])
    this.#state.badPages += badPages.length
  }

  /** @param files each with its index, and its bad pages unless its frames told them */
  addFiles(files: readonly (CopiedFile & { readonly index: number; readonly badPages: readonly number[] })[]): void {
    this.#file.add(
      ...files.map(({ index, base, name, size, stored, hash, segmentHash, badPages }) => [
        'file',
        index,
        base,
        name,
        size,
        stored,
        hash,
        segmentHash,
        badPages,
      ]),
    )
    for (const file of files) this.#state.addFile(file.index, file.size, file.stored, file.badPages.length)
  }

  /** As `LedgerFile.syncing`: after a failure for good the next attempt copies everything anew. */
  async syncing(action: () => Promise<void>): Promise<void> {
    await this.#file.syncing(action)
  }

  /** Nothing is missing, and nothing changed meanwhile: durable when it resolves. */
  async finish(): Promise<void> {
    const finishedAt = new Date().toISOString()
    this.#file.add(['end', this.#state.files, finishedAt])
    await this.#file.sync()
    this.#state.finishedAt = finishedAt
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }
}

/**
 * What a finished copy has stored.
 * @throws FenceBroken when there is no whole ledger of a finished copy of that backup
 */
export async function readCopyRecord(path: string, backup: string): Promise<CopyRecord> {
  const files: (CopiedFile | undefined)[] = []
  const firstBadPages = new FirstBadPages(PAGES_KEPT)
  const found = await readCopyLines(path, {
    isWanted: (header) => header.backup === backup,
    visitor: {
      file: (index, file) => {
        files[index] = file
      },
      page: (file, page) => firstBadPages.add({ file, page }),
    },
  }).catch((error: unknown) => {
    throw error instanceof z.ZodError ? ledgerBroken(path, error) : error
  })
  const finishedAt = found?.state.finishedAt
  if (found === undefined || finishedAt === undefined || !isWhole(files)) {
    throw new TabletkeeperError('FenceBroken', `this host has no whole record of what ${backup} copied`, {
      hint: 'Nothing is published. Start another backup.',
    })
  }
  const { workflowId, runId, lsn, snapshot, reading } = found.header
  const { badPages } = found.state
  const about = { backup, workflowId, runId, lsn, snapshot, reading }
  return { ...about, files, badPages, firstBadPages: firstBadPages.values(), finishedAt }
}

/** Which run began a ledger on this start of this host; undefined when none did, or that cannot be read. */
export async function copierOf(path: string): Promise<Pick<Header, 'workflowId' | 'runId'> | undefined> {
  const found: Header[] = []
  const isWanted = (header: Header): boolean => {
    found.push(header)
    return false
  }
  await readCopyLines(path, { isWanted }).catch(() => undefined)
  const [header] = found
  if (header?.boot !== (await bootId())) return undefined
  const { workflowId, runId } = header
  return { workflowId, runId }
}

/** Tells whether a list of files is the same: same places, sizes, times and inodes, in the same order. */
export function fingerprintOf(files: readonly DataFile[]): string {
  const hash = createHash('sha256')
  for (const { base, name, size, mtimeNs, inode } of files)
    hash.update(`${base}/${name}\0${size}\0${mtimeNs}\0${inode}\n`)
  return hash.digest('hex')
}

/** @throws FenceBroken when it is the same run's and the files are not what they were */
function isSameCopy(header: Header, binding: CopyBinding): boolean {
  if (header.runId !== binding.runId || header.backup !== binding.backup) return false
  if (header.lsn !== binding.lsn || header.files !== binding.files) {
    throw new TabletkeeperError(
      'FenceBroken',
      `the files of ${binding.backup} changed after a part of them was copied`,
      {
        hint: 'A mysqld ran on them in between. Nothing is published; find what started it, then start another backup.',
      },
    )
  }
  return (['store', 'compressor', 'boot', 'snapshot'] as const).every((key) => header[key] === binding[key])
}

function isWhole(files: readonly (CopiedFile | undefined)[]): files is readonly CopiedFile[] {
  return !files.includes(undefined)
}
