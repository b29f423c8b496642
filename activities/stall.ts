import { TabletkeeperError } from '../model/errors.ts'
import { formatDuration } from '../model/units.ts'
import type { Work } from '../tablets/sole-work.ts'

/** A store that answers nothing for this long is taken for hanging: a tablet waits for it out of service. */
const LIMIT = 5 * 60_000

export interface StallWatch extends Disposable {
  /** Called with the bytes done so far, as often as the copy reports them. */
  seen(bytesDone: number): void
}

/** Gives work up that copies, when it moves nothing for five minutes: calls to a hung mount never fail by themselves. */
export function watchForStall(work: Pick<Work, 'giveUp'>, storage: string): StallWatch {
  let bytes = -1
  const hang = (): void =>
    work.giveUp(
      new TabletkeeperError('StorageUnavailable', `${storage} has moved nothing for ${formatDuration(LIMIT)}`, {
        hint: 'Look at its mount, its network and its own log.',
      }),
    )
  let timer = setTimeout(hang, LIMIT)
  return {
    seen: (bytesDone) => {
      if (bytesDone === bytes) return
      bytes = bytesDone
      clearTimeout(timer)
      timer = setTimeout(hang, LIMIT)
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}
