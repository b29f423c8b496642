import { TabletkeeperError } from '../model/errors.ts'
import type { Progress } from '../model/runs.ts'
import { formatDuration } from '../model/units.ts'
import type { Work } from '../tablets/sole-work.ts'

const LOOK_AT = 'Look at its mount, its network and its own log.'

/** A store that answers nothing for this long is taken for hanging: a tablet waits for it out of service. */
const LIMIT = 5 * 60_000
/** While a store only finishes what it has: longer than the store itself is waited for then (storage/s3/connection.ts). */
const SETTLING_LIMIT = 20 * 60_000

export interface StallWatch extends Disposable {
  /** Called with what is done so far, as often as the copy reports it, and whether a store only finishes what it was given. */
  seen(done: Pick<Progress, 'bytesDone' | 'filesDone'>, isSettling?: boolean): void
}

/**
 * Gives work up that copies, when it moves nothing for five minutes: calls to a hung mount never fail by themselves. What a store finishes
 * gets twenty: given up it would go on there, and the next attempt would find nothing to go on with.
 */
export function watchForStall(work: Pick<Work, 'giveUp'>, storage: string): StallWatch {
  let last = { bytesDone: -1, filesDone: -1, isSettling: false }
  const hangAfter = (limit: number): NodeJS.Timeout =>
    setTimeout(() => {
      const what = `${storage} has moved nothing for ${formatDuration(limit)}`
      work.giveUp(new TabletkeeperError('StorageUnavailable', what, { hint: LOOK_AT }))
    }, limit)
  let timer = hangAfter(LIMIT)
  return {
    seen: ({ bytesDone, filesDone }, isSettling = false) => {
      if (bytesDone === last.bytesDone && filesDone === last.filesDone && isSettling === last.isSettling) return
      last = { bytesDone, filesDone, isSettling }
      clearTimeout(timer)
      timer = hangAfter(isSettling ? SETTLING_LIMIT : LIMIT)
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}

/** Whatever only looks at storage, or only removes, takes less, however many objects there are. */
const LOOK_LIMIT = 15 * 60_000
/** What is cancelled ends sooner than this, where it can. */
const END_LIMIT = 60_000

/**
 * Waits for what only looks at storage, or only removes what nobody wants, and gives it up where a mount hangs: it goes on in vain, and
 * neither cancelling nor time would end it.
 * @throws StorageUnavailable when it takes a quarter of an hour, or does not end within a minute after it was cancelled
 */
export async function unlessHung<T>(signal: AbortSignal, storage: string, look: () => Promise<T>): Promise<T> {
  const hung = Promise.withResolvers<never>()
  const giveUp = (): void =>
    hung.reject(
      new TabletkeeperError('StorageUnavailable', `${storage} does not answer: it hangs`, {
        hint: LOOK_AT,
      }),
    )
  const timers = [setTimeout(giveUp, LOOK_LIMIT)]
  const hasty = (): void => void timers.push(setTimeout(giveUp, END_LIMIT))
  if (signal.aborted) hasty()
  signal.addEventListener('abort', hasty, { once: true })
  try {
    return await Promise.race([look(), hung.promise])
  } finally {
    signal.removeEventListener('abort', hasty)
    for (const timer of timers) clearTimeout(timer)
  }
}
