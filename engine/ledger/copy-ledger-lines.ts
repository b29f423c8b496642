import { z } from 'zod'
import type { CopiedFile } from '../backup/copied-file.ts'
import { readLedgerFile, sha256 } from './ledger-file.ts'
import { type RecordedFrame, RecordedFrames } from './recorded-frames.ts'

/*
 * The lines of a copy ledger: the header, then in the order of what happened
 *
 *   ["frame", object, plain size, stored size, CRC-32, SHA-256, bad pages]
 *   ["restart", object, frames that count]
 *   ["file", object, base, name, plain size, stored size, CRC-32, segment hash, bad pages]
 *   ["end", files, time]
 */

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

/** What a copy is bound to, and which upload it goes into. */
export type Header = z.infer<typeof headerSchema>

const page = z.int().nonnegative()
const frameLine = z.tuple([z.literal('frame'), z.int(), z.uint32(), z.uint32(), z.uint32(), sha256, z.array(page)])
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
const restartLine = z.tuple([z.literal('restart'), z.int(), z.int().nonnegative()])
const endLine = z.tuple([z.literal('end'), z.int(), z.iso.datetime()])
const lineSchema = z.union([fileLine, frameLine, restartLine, endLine])

/** What the lines of a ledger add up to. */
export class CopyState {
  readonly done: Uint8Array
  /** Of objects that are not finished. */
  readonly frames = new Map<number, RecordedFrames>()
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
    const frames = this.frames.get(index) ?? new RecordedFrames()
    frames.add(frame)
    this.frames.set(index, frames)
    this.badPages += frame.badPages
  }

  restart(index: number, kept: number): void {
    this.badPages -= this.frames.get(index)?.cut(kept) ?? 0
  }
}

/** Told of what need not be kept by everybody who reads a ledger. */
interface Visitor {
  file(index: number, file: CopiedFile): void
  page(file: number, page: number): void
}

export interface CopyReading {
  /** How many files there are; undefined: as many as there are lines of them. */
  readonly count?: number
  /** Whether the ledger is one to go on with: when it is not, what its other lines are does not matter. What it throws is thrown. */
  readonly isWanted: (header: Header) => boolean
  readonly visitor?: Visitor
}

/**
 * Reads a ledger, as far as it is whole. Undefined when there is none, or none that is wanted.
 * @throws ZodError when a line is not one of a ledger of this version
 */
export async function readCopyLines(
  path: string,
  { count, isWanted, visitor }: CopyReading,
): Promise<{ readonly header: Header; readonly state: CopyState; readonly length: number } | undefined> {
  let header: Header | undefined
  const state = new CopyState(count ?? 0)
  const length = await readLedgerFile(path, {
    header: (line) => {
      const found = headerSchema.parse(line)
      if (!isWanted(found)) return false
      header = found
      return true
    },
    line: (line) => takeLine(state, lineSchema.parse(line), visitor),
  })
  return header && { header, state, length }
}

function takeLine(state: CopyState, line: z.infer<typeof lineSchema>, visitor: Visitor | undefined): void {
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
