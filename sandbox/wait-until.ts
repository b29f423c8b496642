import { setTimeout as pause } from 'node:timers/promises'
import { TabletkeeperError } from '../model/errors.ts'

/**
 * Asks `condition` again and again until it says true.
 * @param what completes "waited 60 s until …"
 * @throws MysqldFailed when `deadline` (milliseconds) has passed
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadline = 60_000,
): Promise<void> {
  const end = performance.now() + deadline
  while (!(await condition())) {
    if (performance.now() > end)
      throw new TabletkeeperError('MysqldFailed', `waited ${deadline / 1000} s until ${what}`)
    await pause(20)
  }
}
