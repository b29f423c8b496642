import type { AgentRights } from '../activities/contract.ts'
import type { TabletReport } from '../model/report.ts'
import type { RunInput } from '../model/runs.ts'
import { causeOf, hintOf, runFailure, withNothingChanged } from './failure.ts'
import { parseRunInput } from './input.ts'
import { onControl, onTablet, type TabletAgent } from './options.ts'

/** Asks a tablet's agent what it sees; fails with `NoAgent` when nobody polls its queue. */
export async function inspectTablet(given: RunInput): Promise<TabletReport> {
  return await askAgent(given, (agent) => agent.contact.inspectTablet())
}

/** Asks a tablet's agent what it may do in storage beyond what it needs; fails as `inspectTablet`, and when it lacks what it needs. */
export async function checkAgentRights(given: RunInput): Promise<AgentRights | null> {
  return await askAgent(given, (agent) => agent.contact.tellRights())
}

async function askAgent<Answer>(given: RunInput, ask: (agent: TabletAgent) => Promise<Answer>): Promise<Answer> {
  const input = parseRunInput(given)
  try {
    return await ask(onTablet(input.tablet, input.agentTimeout))
  } catch (error) {
    const cause = withNothingChanged(causeOf(error, input.tablet))
    throw runFailure(error, cause, { step: null, ...hintOf(cause), returnedBy: 'nobody', suppressed: [] })
  }
}

/** Lets control prove by a round trip that storage can be used. */
export async function checkStorage(): Promise<{ readonly description: string }> {
  return await onControl().checkStorage()
}
