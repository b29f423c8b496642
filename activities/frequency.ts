import { type FrequencyVerdict, judgeFrequency } from '../model/frequency.ts'
import { parsePosition } from '../model/position.ts'
import { listBackups } from '../storage/catalogue.ts'
import type { TabletContext } from './tablet-context.ts'

/** Whether a tablet restored from the shard's newest complete backup could still catch up with the present primary, and for how long. */
export async function judgeShardFrequency(
  context: TabletContext,
  scheduleIntervalSeconds?: number,
): Promise<FrequencyVerdict> {
  const { driver } = context.tablet
  const { entries } = await listBackups(context.store, driver.shard)
  const newest = entries.filter((entry) => entry.state === 'complete').at(-1)
  const { server } = await driver.primary()
  return judgeFrequency({
    newestPosition: newest?.state === 'complete' ? parsePosition(newest.manifest.Position) : undefined,
    primaryPurged: server.gtidPurged,
    binlogRetentionSeconds: server.binlogRetentionSeconds,
    ...(scheduleIntervalSeconds === undefined ? {} : { scheduleIntervalSeconds }),
  })
}
