import type { TabletConfig } from '../model/config.ts'
import type { TemporalConfig } from '../model/config-temporal.ts'
import type { GtidSet } from '../model/gtid-set.ts'
import { parsePosition } from '../model/position.ts'
import type { TabletReport } from '../model/report.ts'
import { isRestorable, type ListedBackup } from '../storage/catalogue/catalogue.ts'

/** What the primary of a shard has purged from its binary logs, and who it is. */
export interface BinaryLogs {
  readonly primary: string
  readonly purged: GtidSet
}

/**
 * Asks the agents of a shard what its primary has purged. Undefined when Temporal, control or all agents are silent: it is not worth
 * a failure, and not worth more than a few seconds.
 */
export async function askBinaryLogs(
  tablets: readonly TabletConfig[],
  temporal: TemporalConfig,
): Promise<BinaryLogs | undefined> {
  if (tablets.length === 0) return undefined
  try {
    const { Tabletkeeper } = await import('./tabletkeeper.ts')
    await using keeper = await Tabletkeeper.connect({ ...temporal, timeout: 2_000 })
    // The first answer is enough: all of them ask the same primary.
    return await Promise.any(
      tablets.map(async ({ shard, alias }) => purgedOf(await keeper.inspect({ shard, tablet: alias }, { timeout: 2 }))),
    )
  } catch {
    return undefined
  }
}

/** Whether a tablet restored from the backup finds all that it lacks in these binary logs; undefined when nothing is restored from it. */
export function canCatchUp(entry: ListedBackup, { purged }: BinaryLogs): boolean | undefined {
  return isRestorable(entry) ? parsePosition(entry.manifest.Position).contains(purged) : undefined
}

function purgedOf({ primary, primaryPurged }: TabletReport): BinaryLogs {
  if (primary === null || primaryPurged === null) throw new Error('no primary was found')
  return { primary, purged: parsePosition(primaryPurged) }
}
