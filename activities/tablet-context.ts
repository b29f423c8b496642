import { availableParallelism } from 'node:os'
import type { Config } from '../model/config.ts'
import type { StepName } from '../model/runs.ts'
import type { ReplicaType } from '../model/tablet-type.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { TabletClones } from '../tablets/clones.ts'
import type { LagMonitor } from '../tablets/lag-monitor.ts'
import type { HoldingStep, LeasedTablet } from '../tablets/leased-tablet.ts'
import type { RunIdentity, RunState } from '../tablets/run-state.ts'
import { type ActivityHost, type Attempt, activity } from './activity.ts'
import type { TokenInput } from './contract.ts'

/** What the activities of one tablet work with. */
export interface TabletContext extends ActivityHost {
  readonly tablet: LeasedTablet
  readonly clones: TabletClones
  readonly config: Config
  readonly store: ObjectStore
  readonly lag: LagMonitor
  /** Agents on other machines that take the tablet's tasks too, as they call themselves to Temporal. */
  readonly agentsElsewhere: () => Promise<readonly string[]>
  /** Asks Temporal. */
  readonly runState: (run: RunIdentity) => Promise<RunState>
  /** A run is gone, as the server said: look now at what it has left. */
  readonly workflowGone: () => void
  /** Remembers what a bootstrapped tablet is for. */
  readonly keepType: (type: ReplicaType) => Promise<void>
}

/** An activity that observes and changes nothing, or guards itself. */
export function onTablet<Input, Output>(
  context: TabletContext,
  act: (attempt: Attempt, input: Input) => Promise<Output>,
) {
  return activity(context, act)
}

/** An activity that acts as a step under the lease. */
export function underLease<Input extends TokenInput, Output>(
  context: TabletContext,
  name: StepName,
  act: (step: HoldingStep, input: Input, attempt: Attempt) => Promise<Output>,
): (input: Input) => Promise<Output> {
  return activity(context, async (attempt, input: Input) => {
    const claim = { runId: attempt.runId, token: input.token }
    return await context.tablet.step(claim, name, attempt.activityId, attempt.signal, (step) =>
      act(step, input, attempt),
    )
  })
}

/** How many files are copied at once on this host. */
export function filesAtOnce(concurrency: number | 'cores'): number {
  return concurrency === 'cores' ? availableParallelism() : concurrency
}
