import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../model/errors.ts'

/** Milliseconds before the second and the third try. */
const PAUSES = [5_000, 20_000] as const

/**
 * Does what needs a network up to three times: a connection that breaks once is no reason to fail. A program that is not there or was
 * ended is not tried again.
 * @param what completes "… failed"
 * @throws what the last try threw
 */
export async function tryToDownload<Result>(
  what: string,
  attempt: () => Result | Promise<Result>,
  pauses: readonly number[] = PAUSES,
): Promise<Result> {
  for (const pause of pauses) {
    try {
      return await attempt()
    } catch (error) {
      if (isFinal(error)) throw error
      process.stderr.write(`${what} failed, and is tried again in ${pause / 1000} s: ${messageOf(error)}\n`)
      await delay(pause)
    }
  }
  return await attempt()
}

/** What a shell, env(1) and nice(1) end with where the program that they start is not there. */
const NO_SUCH_PROGRAM = 127

function isFinal(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && (at.code === 'ENOENT' || at.code === NO_SUCH_PROGRAM)) return true
    if ('signal' in at && typeof at.signal === 'string') return true
  }
  return false
}
