import { setTimeout as delay } from 'node:timers/promises'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { formatDuration, type Milliseconds } from '../model/units.ts'
import type { PrimaryView, TabletDriver } from './driver.ts'

const POLL = 1_000

export interface AwaitPrimary {
  readonly timeout: Milliseconds
  readonly signal: AbortSignal
  /** Told each time why there is none. */
  readonly onWait: (why: string) => void
}

/**
 * Waits until one tablet of the shard takes writes: in a failover none does, or two do, for seconds or minutes.
 * @throws ReplicationFailed, not worth another try, when `timeout` has passed
 * @throws MysqldFailed when the tablet's own mysqld ends meanwhile
 */
export async function awaitPrimary(
  driver: TabletDriver,
  { timeout, signal, onWait }: AwaitPrimary,
): Promise<PrimaryView> {
  const deadline = performance.now() + timeout
  for (;;) {
    let why: string
    try {
      return await driver.primary()
    } catch (error) {
      if (!isError(error, 'ReplicationFailed')) throw error
      const { message, hint } = error
      why = message
      if (performance.now() > deadline) {
        throw new TabletkeeperError('ReplicationFailed', `after ${formatDuration(timeout)} still ${message}`, {
          cause: error,
          retryable: false,
          ...(hint === undefined ? {} : { hint }),
        })
      }
    }
    if ((await driver.describe()).mysqld !== 'up')
      throw new TabletkeeperError('MysqldFailed', `mysqld of ${driver.alias} ended while nobody took writes`)
    onWait(why)
    await delay(POLL, undefined, { signal })
  }
}
