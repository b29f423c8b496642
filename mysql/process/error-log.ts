import { open, stat } from 'node:fs/promises'
import { orMissing } from '../system/system-error.ts'

const READ_AT_MOST = 256 * 1024

/** A place in some log files, from which on lines are read later. */
export class LogMark {
  readonly #places: ReadonlyMap<string, number>

  private constructor(places: ReadonlyMap<string, number>) {
    this.#places = places
  }

  /** The present ends of `paths`; a file that is not there has its end at 0. */
  static async atEndOf(paths: readonly string[]): Promise<LogMark> {
    const places = new Map<string, number>()
    for (const path of paths) places.set(path, (await orMissing(stat(path)))?.size ?? 0)
    return new LogMark(places)
  }

  /** The beginnings of `paths`. */
  static atStartOf(paths: readonly string[]): LogMark {
    return new LogMark(new Map(paths.map((path) => [path, 0])))
  }

  /** What was written since, file after file: not more than the last 256 KiB of each. */
  async linesSince(): Promise<string[]> {
    const lines: string[] = []
    for (const [path, start] of this.#places) lines.push(...(await linesFrom(path, start)))
    return lines
  }
}

async function linesFrom(path: string, start: number): Promise<string[]> {
  const file = await orMissing(open(path, 'r'))
  if (!file) return []
  try {
    const { size } = await file.stat()
    // Shorter than it was: the log was rotated.
    const from = Math.max(size < start ? 0 : start, size - READ_AT_MOST)
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(size - from), position: from })
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n')
    return lines.filter((line) => line.trim() !== '')
  } finally {
    await file.close()
  }
}
