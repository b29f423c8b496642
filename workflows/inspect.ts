import type { TabletReport } from '../model/report.ts'
import type { RunInput } from '../model/runs.ts'
import { causeOf, hintOf, runFailure, withNothingChanged } from './failure.ts'
import { parseRunInput } from './input.ts'
import { onControl, onTablet } from './options.ts'

/** Asks a tablet's agent what it sees; fails with `NoAgent` when nobody polls its queue. */
export async function inspectTablet(given: RunInput): Promise<TabletReport> {
  const input = parseRunInput(given)
  try {
    return await onTablet(input.tablet, input.agentTimeout).contact.inspectTablet()
  } catch (error) {
    const cause = withNothingChanged(causeOf(error, input.tablet))
    throw runFailure(error, cause, { step: null, ...hintOf(cause), returnedBy: 'nobody', suppressed: [] })
  }
}

/** Lets control prove by a round trip that storage can be used. */
export async function checkStorage(): Promise<{ readonly description: string }> {
  return await onControl().checkStorage()
}
