import type { BootstrapInput, RestoreResult } from '../model/runs.ts'
import { foundDetail } from './details.ts'
import { parseBootstrapInput } from './input.ts'
import { onTablet } from './options.ts'
import { restoreTablet } from './restored-tablet.ts'
import { Run } from './run.ts'

/** Brings up a new tablet of a shard: from its latest backup, or empty when there is none at all; then replicates from the primary. */
export async function bootstrap(given: BootstrapInput): Promise<RestoreResult> {
  const input = parseBootstrapInput(given)
  const { tablet, shard, type } = input
  const run = new Run('bootstrap', input, null)
  const agent = onTablet(tablet, input.agentTimeout)
  try {
    const found = await run.step('findBackup', () => agent.contact.findBackup(input), foundDetail)
    const backup = found.found ? found.backup : null
    const position = found.found ? found.position : null
    run.backup = backup
    const plan = await run.step('preflight', () =>
      agent.contact.preflightRestore({ kind: 'bootstrap', backup: found, type }),
    )
    const { concurrency } = input
    // A new tablet has nothing that could serve meanwhile.
    const restored = await restoreTablet(run, agent, found, plan, { downloading: agent.unhurried, concurrency })
    const { seconds, outOfServiceSeconds } = run
    return { shard, tablet, backup, position, ...restored, seconds, outOfServiceSeconds, warnings: plan.warnings }
  } catch (error) {
    throw run.failure(error)
  }
}
