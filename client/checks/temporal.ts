import { CONTROL_QUEUE, SEARCH_ATTRIBUTES } from '../../model/runs.ts'
import { formatClock } from '../output/clock.ts'
import type { Tabletkeeper } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'

/** A poll that waits for a task lasts a minute: who has not polled since is gone. */
const POLL = 75_000

/** Whether Temporal answers, knows our search attributes, and has a control to run workflows. */
export async function checkTemporal(keeper: Tabletkeeper): Promise<Check> {
  const subject = 'temporal'
  try {
    const { address, namespace } = keeper.temporal
    const [pollers, attributes] = await Promise.all([keeper.pollers(CONTROL_QUEUE), keeper.searchAttributes()])
    const polling = pollers.filter(({ lastSeen }) => Date.now() - lastSeen.getTime() < POLL)
    const registered =
      attributes.size === SEARCH_ATTRIBUTES.length
        ? 'attributes registered'
        : `${attributes.size} of ${SEARCH_ATTRIBUTES.length} search attributes registered`
    const message = `${address}, namespace ${namespace}, ${registered}, control ×${polling.length}`
    if (polling.length > 0) return { verdict: 'OK', subject, message }
    const hint = 'Start tabletkeeper control on any host.'
    const [newest] = pollers
    if (newest === undefined) return { verdict: 'FAILED', subject, message, hint }
    // Two clocks were compared: whether control is there is proven by what is asked of it next.
    return {
      verdict: 'WARN',
      subject,
      message: `${message} (last seen ${formatClock(newest.lastSeen)} UTC: ${newest.identity})`,
      hint: `${hint} Does it run? Then the clock of this host is ahead of Temporal's.`,
    }
  } catch (error) {
    return failedCheck(subject, error)
  }
}
