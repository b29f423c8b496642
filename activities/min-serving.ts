import { setTimeout as delay } from 'node:timers/promises'
import type { TabletAlias } from '../model/alias.ts'
import { isError } from '../model/errors.ts'
import type { BackupForce, Warning } from '../model/runs.ts'
import { refused } from './refusal.ts'
import type { TabletContext } from './tablet-context.ts'

/** How often, and in which distance, the others are looked at before it counts that they do not serve. */
const LOOKS = 3
const LOOK_AGAIN_AFTER = 2_000

/**
 * Enough other tablets of the shard would serve without this one.
 * @returns a warning where they would not, and somebody knows better
 * @throws Refused
 */
export function assertSpared(
  context: TabletContext,
  others: readonly TabletAlias[],
  force: readonly BackupForce[],
): readonly Warning[] {
  const { tablet, config } = context
  const { shard } = tablet.driver
  const { minServing } = config.backup
  if (others.length >= minServing) return []
  const left = others.length === 0 ? 'no other tablet' : `only ${others.join(' and ')}`
  const message = `${left} of ${shard} would serve, and backup.minServing is ${minServing}`
  if (force.includes('min-serving')) return [{ about: '--force-min-serving', message }]
  throw refused(
    context,
    `cannot be spared: ${message}`,
    'Bring another tablet up, or lower backup.minServing. This once: --force-min-serving.',
  )
}

/**
 * The same when the run has begun: one that does not answer for a moment does not end it.
 * @throws Refused
 */
export async function assertStillSpared(
  context: TabletContext,
  force: readonly BackupForce[],
  signal: AbortSignal,
): Promise<void> {
  for (let look = 1; ; look += 1) {
    try {
      assertSpared(context, await context.tablet.driver.othersServing(), force)
      return
    } catch (error) {
      if (!isError(error, 'Refused') || look === LOOKS) throw error
      await delay(LOOK_AGAIN_AFTER, undefined, { signal })
    }
  }
}
