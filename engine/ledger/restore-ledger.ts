import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Manifest } from '../../model/manifest.ts'
import { FrameChecksums } from '../frames/frame-checksums.ts'
import type { Checksums } from '../pool/tasks.ts'
import { bootId, LedgerFile, ledgerBroken, readLedgerFile, sha256 } from './ledger-file.ts'

const headerSchema = z.object({ ledger: z.literal(1), manifest: z.string(), boot: z.string() })
const frameLine = z.tuple([z.literal('frame'), z.int(), z.int().nonnegative(), z.uint32(), sha256])
const fileLine = z.tuple([z.literal('file'), z.int()])
const endLine = z.tuple([z.literal('end')])
const lineSchema = z.union([frameLine, fileLine, endLine])

/**
 * The record, on the tablet's own host, of what one run has written into its staging directories, so that an attempt that follows one
 * that died reads only what is missing.
 */
export class RestoreLedger implements AsyncDisposable {
  readonly #file: LedgerFile
  readonly #state: State

  private constructor(file: LedgerFile, state: State) {
    this.#file = file
    this.#state = state
  }

  /**
   * Goes on with the ledger of an earlier attempt of the same restore, or begins one.
   * @throws FenceBroken when a whole line is none of a ledger; Refused or StorageFull when it cannot be read or written
   */
  static async open(path: string, manifest: Manifest): Promise<RestoreLedger> {
    const header = { ledger: 1, manifest: fingerprintOf(manifest), boot: await bootId() } as const
    const state = new State(manifest.FileEntries.length)
    let isSame = false
    const length = await readLedgerFile(path, {
      header: (line) => {
        isSame = isSameRestore(headerSchema.safeParse(line).data, header)
        return isSame
      },
      line: (line) => state.take(parseLine(path, line)),
    })
    if (isSame) return new RestoreLedger(await LedgerFile.append(path, length), state)
    const file = await LedgerFile.create(path)
    file.add(header)
    return new RestoreLedger(file, new State(manifest.FileEntries.length))
  }

  /** Whether all files were written and made durable. */
  get isFinished(): boolean {
    return this.#state.finished
  }

  has(index: number): boolean {
    return this.#state.done[index] === 1
  }

  /** Frames of a file that were written already. */
  framesOf(index: number): FrameChecksums {
    return this.#state.frames.get(index) ?? new FrameChecksums()
  }

  addFrame(index: number, frame: number, { crc, sha }: Checksums): void {
    this.#file.add(['frame', index, frame, crc, Buffer.from(sha).toString('base64')])
  }

  addFiles(...indexes: readonly number[]): void {
    this.#file.add(...indexes.map((index) => ['file', index]))
    for (const index of indexes) this.#state.frames.delete(index)
  }

  /** As `LedgerFile.syncing`: after a failure for good the next attempt restores everything anew. */
  async syncing(action: () => Promise<void>): Promise<void> {
    await this.#file.syncing(action)
  }

  /** Durable when it resolves. */
  async finish(): Promise<void> {
    this.#file.add(['end'])
    await this.#file.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }
}

class State {
  readonly done: Uint8Array
  readonly frames = new Map<number, FrameChecksums>()
  finished = false

  constructor(count: number) {
    this.done = new Uint8Array(count)
  }

  take(line: z.infer<typeof lineSchema>): void {
    switch (line[0]) {
      case 'frame': {
        const [, index, frame, crc, sha] = line
        const frames = this.frames.get(index) ?? new FrameChecksums()
        frames.set(frame, { crc, sha: Buffer.from(sha, 'base64') })
        this.frames.set(index, frames)
        return
      }
      case 'file':
        this.done[line[1]] = 1
        this.frames.delete(line[1])
        return
      case 'end':
        this.finished = true
    }
  }
}

function parseLine(path: string, line: unknown): z.infer<typeof lineSchema> {
  const parsed = lineSchema.safeParse(line)
  if (!parsed.success) throw ledgerBroken(path, parsed.error)
  return parsed.data
}

function isSameRestore(found: z.infer<typeof headerSchema> | undefined, wanted: z.infer<typeof headerSchema>): boolean {
  return found?.manifest === wanted.manifest && found.boot === wanted.boot
}

function fingerprintOf({ BackupName, Position, FileEntries, Tabletkeeper }: Manifest): string {
  const hash = createHash('sha256').update(`${BackupName}\0${Position}\0${Tabletkeeper?.Run ?? ''}\n`)
  for (const { Base, Name, Hash } of FileEntries) hash.update(`${Base}/${Name}\0${Hash}\n`)
  return hash.digest('hex')
}
