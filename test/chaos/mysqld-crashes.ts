import { readFile } from 'node:fs/promises'

const CRASHED = /^\S+ UTC - mysqld got signal \d+ ;$/gm

/** How often mysqld has ended by a failed assertion or a fault of its own, by its error log; who kills it leaves no line there. */
export function crashesIn(log: string): number {
  return log.match(CRASHED)?.length ?? 0
}

/** Notices that a mysqld ends by itself. */
export class CrashCount {
  readonly #errorLog: string
  #seen: number

  private constructor(errorLog: string, seen: number) {
    this.#errorLog = errorLog
    this.#seen = seen
  }

  /** Counts from now. */
  static async of(errorLog: string): Promise<CrashCount> {
    return new CrashCount(errorLog, await countIn(errorLog))
  }

  /** Whether it has ended by itself since this was asked last. */
  async hasGrown(): Promise<boolean> {
    const before = this.#seen
    this.#seen = await countIn(this.#errorLog)
    return this.#seen > before
  }
}

async function countIn(errorLog: string): Promise<number> {
  return crashesIn(await readFile(errorLog, 'utf8'))
}
