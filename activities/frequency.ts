import { type FrequencyVerdict, judgeFrequency } from '../model/frequency.ts'
import { parsePosition } from '../model/position.ts'
import { newestRestorable } from '../storage/catalogue/catalogue.ts'
import type { TabletContext } from './tablet-context.ts'

/** Whether a tablet restored from the shard's newest complete backup could still catch up with the present primary, and for how long. */
export async function judgeShardFrequency(
  context: TabletContext,
  scheduleIntervalSeconds?: number,
): Promise<FrequencyVerdict> {
  const { driver } = context.tablet
  const newest = await newestRestorable(context.store, driver.shard)
  const { server } = await driver.primary()
  return judgeFrequency({
    newestPosition: newest && parsePosition(newest.manifest.Position),
    primaryPurged: server.gtidPurged,
    binlogRetentionSeconds: server.binlogRetentionSeconds,
    ...(scheduleIntervalSeconds === undefined ? {} : { scheduleIntervalSeconds }),
  })
}
