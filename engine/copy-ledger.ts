import { createHash } from 'node:crypto'
import { z } from 'zod'
import { TabletkeeperError } from '../model/errors.ts'
import type { DataFile } from '../mysql/data-directory.ts'
import type { CopiedFile } from './copied-file.ts'
import { type BadPageOfFile, FirstBadPages } from './first-bad-pages.ts'
import { LedgerFile, ledgerBroken, readLedgerFile } from './ledger-file.ts'
import type { FrameDigest } from './object-digest.ts'

const headerSchema = z.object({
  ledger: z.literal(1),
  backup: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  /** Of the stop that the files are of. */
  lsn: z.string(),
  snapshot: z.enum(['reflink', 'none']),
  reading: z.object({
    position: z.string(),
    purgedPosition: z.string(),
    serverUuid: z.string(),
    versionString: z.string(),
    takenAt: z.iso.datetime(),
  }),
  /** Fingerprint of the list of files: `fingerprintOf`. */
  files: z.string(),
  /** The store, as it calls itself, and the id of the upload there. */
  store: z.string(),
  upload: z.string(),
  /** What makes the same stored bytes of the same plain ones. */
  compressor: z.string(),
  boot: z.string(),
})

type Header = z.infer<typeof headerSchema>

/** What is known before anything is copied. */
export type CopyHeader = Omit<Header, 'ledger' | 'files' | 'store' | 'upload' | 'compressor' | 'boot'>

/** What a copy is bound to: only the same one can be continued. */
export type CopyBinding = CopyHeader & Omit<Header, 'ledger' | 'upload'>

const page = z.int().nonnegative()
const frameLine = z.tuple([z.literal('frame'), z.int(), z.int(), z.int(), z.int(), z.base64(), z.array(page)])
const fileLine = z.tuple([
  z.literal('file'),
  z.int(),
  z.enum(['Data', 'InnoDBData', 'InnoDBLog']),
  z.string(),
  z.int(),
  z.int(),
  z.string(),
  z.string(),
  z.array(page),
])
const restartLine = z.tuple([z.literal('restart'), z.int(), z.int()])
const endLine = z.tuple([z.literal('end'), z.int(), z.iso.datetime()])
const lineSchema = z.union([fileLine, frameLine, restartLine, endLine])

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
  readonly #state: State

  private constructor(file: LedgerFile, upload: string, state: State) {
    this.#file = file
    this.upload = upload
    this.#state = state
  }

  /** Begins a ledger for the copy of `count` files. */
  static async create(path: string, binding: CopyBinding, upload: string, count: number): Promise<CopyLedger> {
    const file = await LedgerFile.create(path)
    file.add({ ledger: 1, ...binding, upload })
    return new CopyLedger(file, upload, new State(count))
  }

  /**
   * Goes on with the ledger of an earlier attempt. Undefined when there is none, or one that this attempt cannot continue byte for byte:
   * another run's, by another compressor, of another start of the host.
   * @throws FenceBroken when it is this run's and the files are not what they were
   */
  static async resume(path: string, binding: CopyBinding, count: number): Promise<CopyLedger | undefined> {
    const found = await read(path, count).catch((error: unknown) => {
      // Another run's ledger may be of another version, and is of no use anyway.
      if (error instanceof z.ZodError) return undefined
      throw error
    })
    if (found === undefined) return undefined
    const { header, state, length } = found
    if (header.runId !== binding.runId || header.backup !== binding.backup) return undefined
    if (header.lsn !== binding.lsn || header.files !== binding.files) {
      throw new TabletkeeperError(
        'FenceBroken',
        `the files of ${binding.backup} changed after a part of them was copied`,
        {
          hint: 'A mysqld ran on them in between. Nothing is published; find what started it, then start another backup.',
        },
      )
    }
    const same = (['store', 'compressor', 'boot', 'snapshot'] as const).every((key) => header[key] === binding[key])
    return same ? new CopyLedger(await LedgerFile.append(path, length), header.upload, state) : undefined
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
  framesWithin(index: number, bytes: number): readonly FrameDigest[] {
    const frames = this.#state.frames.get(index) ?? []
    let end = 0
    const kept = frames.findIndex(({ stored }) => {
      end += stored
      return end > bytes
    })
    if (kept !== -1) {
      this.#file.add(['restart', index, kept])
      this.#state.restart(index, kept)
    }
    return frames
  }

  /** Stored bytes of the frames of an object that is not finished. */
  storedOf(index: number): number {
    return (this.#state.frames.get(index) ?? []).reduce((sum, { stored }) => sum + stored, 0)
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
  const files: CopiedFile[] = []
  const firstBadPages = new FirstBadPages(PAGES_KEPT)
  const found = await read(path, undefined, {
    file: (index, file) => {
      files[index] = file
    },
    page: (file, page) => firstBadPages.add({ file, page }),
  }).catch((error: unknown) => {
    throw error instanceof z.ZodError ? ledgerBroken(path, error) : error
  })
  const { finishedAt } = found?.state ?? {}
  if (found?.header.backup !== backup || finishedAt === undefined || files.includes(undefined as never)) {
    throw new TabletkeeperError('FenceBroken', `this host has no whole record of what ${backup} copied`, {
      hint: 'Nothing is published. Start another backup.',
    })
  }
  const { workflowId, runId, lsn, snapshot, reading } = found.header
  const { badPages } = found.state
  const about = { backup, workflowId, runId, lsn, snapshot, reading }
  return { ...about, files, badPages, firstBadPages: firstBadPages.values(), finishedAt }
}

/** Tells whether a list of files is the same: same places, sizes, times and inodes, in the same order. */
export function fingerprintOf(files: readonly DataFile[]): string {
  const hash = createHash('sha256')
  for (const { base, name, size, mtimeNs, inode } of files)
    hash.update(`${base}/${name}\0${size}\0${mtimeNs}\0${inode}\n`)
  return hash.digest('hex')
}

/** What the lines of a ledger add up to. */
class State {
  readonly done: Uint8Array
  /** Of objects that are not finished. */
  readonly frames = new Map<number, RecordedFrame[]>()
  files = 0
  dataBytes = 0
  storedBytes = 0
  badPages = 0
  finishedAt: string | undefined

  constructor(count: number) {
    this.done = new Uint8Array(count)
  }

  addFile(index: number, size: number, stored: number, badPages: number): void {
    this.done[index] = 1
    this.frames.delete(index)
    this.files += 1
    this.dataBytes += size
    this.storedBytes += stored
    this.badPages += badPages
  }

  addFrame(index: number, frame: RecordedFrame): void {
    const frames = this.frames.get(index)
    if (frames === undefined) this.frames.set(index, [frame])
    else frames.push(frame)
    this.badPages += frame.badPages
  }

  restart(index: number, kept: number): void {
    for (const frame of this.frames.get(index)?.splice(kept) ?? []) this.badPages -= frame.badPages
  }
}

/** @property badPages how many of its pages are bad */
type RecordedFrame = FrameDigest & { readonly badPages: number }

interface Visitor {
  file(index: number, file: CopiedFile): void
  page(file: number, page: number): void
}

/** @param count of files; undefined: as many as there are lines of them */
async function read(
  path: string,
  count: number | undefined,
  visitor?: Visitor,
): Promise<{ readonly header: Header; readonly state: State; readonly length: number } | undefined> {
  let header: Header | undefined
  const state = new State(count ?? 0)
  const length = await readLedgerFile(path, (line) => {
    if (header === undefined) header = headerSchema.parse(line)
    else takeLine(state, lineSchema.parse(line), visitor)
  })
  return header && { header, state, length }
}

function takeLine(state: State, line: z.infer<typeof lineSchema>, visitor: Visitor | undefined): void {
  switch (line[0]) {
    case 'frame': {
      const [, index, plain, stored, crc, sha, badPages] = line
      const frame = { plain, stored, crc, sha: Buffer.from(sha, 'base64'), badPages: badPages.length }
      state.addFrame(index, frame)
      for (const page of badPages) visitor?.page(index, page)
      return
    }
    case 'restart':
      state.restart(line[1], line[2])
      return
    case 'file': {
      const [, index, base, name, size, stored, hash, segmentHash, badPages] = line
      state.addFile(index, size, stored, badPages.length)
      visitor?.file(index, { base, name, size, stored, hash, segmentHash })
      for (const page of badPages) visitor?.page(index, page)
      return
    }
    case 'end':
      if (line[1] === state.files) state.finishedAt = line[2]
  }
}
