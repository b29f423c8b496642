import type { TabletReport } from '../model/report.ts'
import type { RunInput } from '../model/runs.ts'
import { causeOf, runFailure } from './failure.ts'
import { parseRunInput } from './input.ts'
import { onControl, onTablet } from './options.ts'

/** Asks a tablet's agent what it sees; fails with `NoAgent` when nobody polls its queue. */
export async function inspectTablet(given: RunInput): Promise<TabletReport> {
  const input = parseRunInput(given)
  try {
    return await onTablet(input.tablet, input.agentTimeout).contact.inspectTablet()
  } catch (error) {
    throw runFailure(error, causeOf(error, input.tablet), { step: null, returnedBy: 'nobody', suppressed: [] })
  }
}

/** Lets control prove by a round trip that storage can be used. */
export async function checkStorage(): Promise<{ readonly description: string }> {
  return await onControl().checkStorage()
}
