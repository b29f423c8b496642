import { ApplicationFailure } from '@temporalio/workflow'
import type { RestoreInput, RestoreResult } from '../model/runs.ts'
import { foundDetail } from './details.ts'
import { parseRestoreInput } from './input.ts'
import { onTablet } from './options.ts'
import { restoreTablet } from './restored-tablet.ts'
import { Run } from './run.ts'

/** Replaces the data of a tablet by those of a backup, then replicates what came later. */
export async function restore(given: RestoreInput): Promise<RestoreResult> {
  const input = parseRestoreInput(given)
  const { tablet, shard } = input
  const run = new Run('restore', input, null)
  const agent = onTablet(tablet, input.agentTimeout)
  try {
    const found = await run.step('findBackup', () => agent.contact.findBackup(input), foundDetail)
    if (!found.found)
      throw ApplicationFailure.nonRetryable(`${shard} has no backup to restore ${tablet} from`, 'NotFound', {
        hint: `Take one: tabletkeeper backup ${shard}`,
      })
    run.backup = found.backup
    const plan = await run.step('preflight', () => agent.contact.preflightRestore({ kind: 'restore', backup: found }))
    const { concurrency } = input
    const restored = await restoreTablet(run, agent, found, plan, { downloading: agent.steps, concurrency })
    const { seconds, outOfServiceSeconds } = run
    const { backup, position } = found
    return { shard, tablet, backup, position, ...restored, seconds, outOfServiceSeconds, warnings: plan.warnings }
  } catch (error) {
    throw run.failure(error)
  }
}
