import type { TabletAlias } from '../../model/alias.ts'
import type { TabletReport } from '../../model/report.ts'
import type { AgentRights } from '../../storage/agent-rights.ts'
import { forAll } from '../../storage/for-all.ts'
import type { Tabletkeeper } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'
import { ASKED_AT_ONCE } from './tablets.ts'

const POLICY = 'An agent needs to create and read below its shard: docs/operations.md has a policy.'

/** Whether the agents that answered may do in storage what they need, and what more: those with the same rights in one line. */
export async function checkAgentRights(keeper: Tabletkeeper, reports: readonly TabletReport[]): Promise<Check[]> {
  const failed: Check[] = []
  const told: { readonly alias: TabletAlias; readonly rights: AgentRights }[] = []
  await forAll(reports, ASKED_AT_ONCE, async ({ shard, alias }) => {
    try {
      const rights = await keeper.checkAgentRights({ shard, tablet: alias })
      if (rights !== null) told.push({ alias, rights })
    } catch (error) {
      failed.push(failedCheck(alias, error))
    }
  })
  const groups = Map.groupBy(told, ({ rights }) => JSON.stringify(rights))
  const judged = [...groups.values()].flatMap((group) =>
    group[0] === undefined
      ? []
      : [
          judgeRights(
            group.map(({ alias }) => alias),
            group[0].rights,
          ),
        ],
  )
  return [...failed, ...judged]
}

/** What is to be said of agents with the same rights. */
export function judgeRights(agents: readonly TabletAlias[], rights: AgentRights): Check {
  const subject = 'rights'
  const who = [...agents].sort().join(', ')
  const excess = excessOf(rights)
  if (excess.length === 0) return { verdict: 'OK', subject, message: `${who}: create and read`, rights }
  return { verdict: 'WARN', subject, message: `${who}: more than needed: ${excess.join('; ')}`, hint: POLICY, rights }
}

function excessOf({ removal, elsewhere }: AgentRights): string[] {
  const { creation, reading, removal: removalElsewhere } = elsewhere
  const outside = Object.entries({ create: creation, read: reading, remove: removalElsewhere }).flatMap(
    ([verb, right]) => (right === 'allowed' ? [verb] : []),
  )
  return [
    ...(removal === 'allowed' ? ['remove backups of the shard'] : []),
    ...(outside.length > 0 ? [`${outside.join(', ')} outside of the shard`] : []),
  ]
}
