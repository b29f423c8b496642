import { mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SwapFiles } from '../../mysql/swap/files.ts'

/** Stands for SIGKILL or a power cut: nothing that comes later has an effect. */
export class Crash extends Error {}

/** Where to crash: before the operation with this number, counted from 0, or in the middle of it where it has one. */
export interface CrashPoint {
  readonly operation: number
  readonly halfway: boolean
}

/** Real operations on real directories, without fsync, which only power cuts tell apart; they end at a crash point. */
export class CrashingFiles implements SwapFiles {
  readonly #point: CrashPoint | undefined
  /** How many operations were begun. */
  count = 0

  constructor(point?: CrashPoint) {
    this.#point = point
  }

  makeDirectory = (path: string): Promise<void> =>
    this.#perform(async () => {
      await mkdir(path, { recursive: true })
    })

  rename = (from: string, to: string): Promise<void> => this.#perform(() => rename(from, to))

  write = (path: string, text: string): Promise<void> =>
    this.#perform(
      () => writeFile(path, text),
      () => writeFile(path, text.slice(0, text.length / 2)),
    )

  sync = (_directory: string): Promise<void> => this.#perform(async () => {})

  removeEmpty = (directory: string): Promise<void> =>
    this.#perform(() => rmdir(directory).catch((error: NodeJS.ErrnoException) => ignoreAbsence(error)))

  remove = (path: string): Promise<void> =>
    this.#perform(
      () => rm(path, { recursive: true, force: true }),
      async () => {
        const names = await readdir(path).catch((error: NodeJS.ErrnoException) => ignoreAbsence(error) ?? [])
        for (const name of names.slice(0, Math.ceil(names.length / 2))) await rm(join(path, name), { recursive: true })
      },
    )

  async #perform(whole: () => Promise<void>, half?: () => Promise<void>): Promise<void> {
    const number = this.count
    this.count += 1
    if (this.#point && number >= this.#point.operation) {
      if (number === this.#point.operation && this.#point.halfway) await half?.()
      throw new Crash(`crashed at operation ${number}`)
    }
    await whole()
  }
}

/** Does `work`, and tells whether it ended by a crash. Other errors are thrown. */
export async function crashes(work: (files: SwapFiles) => Promise<unknown>, point?: CrashPoint): Promise<boolean> {
  try {
    await work(new CrashingFiles(point))
    return false
  } catch (error) {
    if (error instanceof Crash) return true
    throw error
  }
}

function ignoreAbsence(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
}
