import type { Fault } from './cases.ts'
import { medianOf } from './matrix.ts'
import type { Result } from './result.ts'
import { DEAD_MAN_SECONDS } from './victim.ts'

export interface Bar {
  readonly text: string
  readonly isHeld: boolean
}

const KILLS: readonly Fault[] = ['kill agent', 'kill control', 'kill mysqld', 'kill Temporal', 'kill all']

/** What is promised, and whether it was so: that every case survived, and how long tablets were out of service. */
export function barsOf(results: readonly Result[]): Bar[] {
  const survived = results.filter((one) => one.survived)
  const beyondMysqld = (...faults: Fault[]) =>
    survived
      .filter((one) => faults.includes(one.case.fault))
      .map(({ recovery }) => Math.max(0, recovery.seconds - recovery.mysqldSeconds))
  const seconds = (fault: Fault) =>
    survived.filter((one) => one.case.fault === fault).map(({ recovery }) => recovery.seconds)
  return [
    {
      text: `survived: ${survived.length} of ${results.length} cases`,
      isHeld: survived.length === results.length,
    },
    ...limited(
      'back after the restart of what was killed',
      "beyond mysqld's own start",
      'median',
      beyondMysqld(...KILLS),
      30,
    ),
    ...limited('back after a terminate', "beyond mysqld's own start", 'worst', beyondMysqld('terminate'), 15),
    ...limited(
      'back with Temporal unreachable',
      `with a dead man's timeout of ${DEAD_MAN_SECONDS} s`,
      'worst',
      seconds('Temporal away'),
      DEAD_MAN_SECONDS + 30,
    ),
  ]
}

function limited(
  what: string,
  how: string,
  which: 'median' | 'worst',
  seconds: readonly number[],
  limit: number,
): Bar[] {
  if (seconds.length === 0) return []
  const [median, worst] = [medianOf(seconds), Math.max(...seconds)]
  return [
    {
      text: `${what}, ${how}: median ${median.toFixed(1)} s, worst ${worst.toFixed(1)} s (${which} at most ${limit} s)`,
      isHeld: (which === 'median' ? median : worst) <= limit,
    },
  ]
}
