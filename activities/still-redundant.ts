import { TabletkeeperError } from '../model/errors.ts'
import type { StepContext } from '../tablets/leased-tablet.ts'
import { lostWith, tellLost } from '../tablets/replaced-data.ts'
import type { Attempt } from './activity.ts'
import { primaryAwaited } from './primary-awaited.ts'
import type { TabletContext } from './tablet-context.ts'

/**
 * What the replaced data had executed, the primary has, as when they were given up: a failover since then may have lost some of it, and then
 * they are the last copy. A tablet that was made the primary itself keeps the new data: they take writes.
 * @throws Refused; ReplicationFailed when nobody takes writes for too long
 */
export async function assertStillRedundant(
  context: TabletContext,
  step: Pick<StepContext, 'lease' | 'signal'>,
  attempt: Attempt,
): Promise<void> {
  const { tablet, config } = context
  const { driver } = tablet
  const { lease } = step
  if (lease.replaced === undefined || config.agent.replaceData !== 'redundant') return
  const { alias, server } = await primaryAwaited(context, step, attempt)
  const lost = lostWith(lease, server.gtidExecuted)
  if (lost.isEmpty) return
  if (alias === driver.alias) {
    tellLost(tablet, lost)
    return
  }
  const message = `the data that are replaced have transactions that the primary ${alias} lacks now: ${lost}`
  throw new TabletkeeperError('Refused', `${driver.alias} is not restored: ${message}`, {
    hint: 'A failover left them behind, and the old data come back. Save what they hold; agent.replaceData: always on that host gives them up.',
  })
}
