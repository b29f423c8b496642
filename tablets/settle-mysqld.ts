import { setTimeout as delay } from 'node:timers/promises'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { TabletDriver } from './driver.ts'

/** A mysqld that was told to stop refuses connections at once but may run for minutes. */
const STOP_LIMIT = 30 * 60_000
const STEADY = 2_000

/**
 * Resolves when mysqld is either plainly up (it answers, and still does two seconds later) or plainly gone. A mysqld that was told to
 * stop just before is neither for a while, and whoever starts or trusts it then is left with a tablet that is down.
 * @throws MysqldFailed when it neither answers nor ends within 30 minutes
 */
export async function settleMysqld(
  driver: TabletDriver,
  signal: AbortSignal,
  onWait?: (waitingFor: string) => void,
): Promise<void> {
  const deadline = performance.now() + STOP_LIMIT
  let answersSince: number | undefined
  while (performance.now() < deadline) {
    signal.throwIfAborted()
    const observed = await observe(driver)
    if (observed === 'gone') return
    if (observed === 'stopping') {
      answersSince = undefined
      onWait?.('mysqld to finish stopping')
    } else {
      answersSince ??= performance.now()
      if (performance.now() - answersSince >= STEADY) return
    }
    await delay(200, undefined, { signal })
  }
  throw new TabletkeeperError('MysqldFailed', `mysqld of ${driver.alias} runs but answers nothing for 30 minutes`, {
    hint: 'Look at its error log. It was not killed: a killed mysqld may lose what it has not written.',
  })
}

/** `describe` fails with MysqldFailed when a mysqld holds the data files but does not answer, and with Refused when it lets nobody in. */
async function observe(driver: TabletDriver): Promise<'gone' | 'answers' | 'stopping'> {
  try {
    return (await driver.describe()).mysqld === 'up' ? 'answers' : 'gone'
  } catch (error) {
    if (isError(error, 'Refused')) return 'answers'
    if (isError(error, 'MysqldFailed')) return 'stopping'
    throw error
  }
}
