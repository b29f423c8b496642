import { setTimeout as delay } from 'node:timers/promises'
import type { TabletAlias } from '../model/alias.ts'
import type { Config } from '../model/config.ts'
import type { BackupForce, Warning } from '../model/runs.ts'
import type { TabletDriver } from '../tablets/driver.ts'
import { refused } from './refusal.ts'

/** How often, and in which distance, the others are looked at before it counts that they do not serve. */
const LOOKS = 3
const LOOK_AGAIN_AFTER = 2_000

/** What of its context tells whether a tablet can be spared. */
export interface SparedContext {
  readonly tablet: { readonly driver: Pick<TabletDriver, 'alias' | 'shard' | 'othersServing'> }
  readonly config: { readonly backup: Pick<Config['backup'], 'minServing'> }
}

/**
 * Enough other tablets of the shard serve without this one. One that does not answer for a moment is looked at again: it neither has a
 * run refused nor ends one that has begun.
 * @returns those, and a warning where they are too few, and somebody knows better
 * @throws Refused
 */
export async function assertSpared(
  context: SparedContext,
  force: readonly BackupForce[],
  signal: AbortSignal,
): Promise<{ readonly others: readonly TabletAlias[]; readonly warnings: readonly Warning[] }> {
  for (let look = 1; ; look += 1) {
    const others = await context.tablet.driver.othersServing()
    const message = lackOf(context, others)
    if (message === undefined) return { others, warnings: [] }
    if (force.includes('min-serving')) return { others, warnings: [{ about: '--force-min-serving', message }] }
    if (look === LOOKS) {
      throw refused(
        context,
        `cannot be spared: ${message}`,
        'Bring another tablet up, or lower backup.minServing. This once: --force-min-serving.',
      )
    }
    await delay(LOOK_AGAIN_AFTER, undefined, { signal })
  }
}

function lackOf({ tablet, config }: SparedContext, others: readonly TabletAlias[]): string | undefined {
  const { minServing } = config.backup
  if (others.length >= minServing) return undefined
  const left = others.length === 0 ? 'no other tablet' : `only ${others.join(' and ')}`
  return `${left} of ${tablet.driver.shard} would serve, and backup.minServing is ${minServing}`
}
