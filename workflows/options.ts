import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow'
import type { ControlActivities, TabletActivities, VerifyActivities } from '../activities/contract.ts'
import type { TabletAlias } from '../model/alias.ts'
import { agentQueue, CONTROL_QUEUE } from '../model/runs.ts'

/**
 * An agent heartbeats each second; one that is silent for a minute is dead or frozen, and the attempt goes to whoever polls its
 * queue next. Shorter would restart copies at each hiccup of the server (an outage of 8 s restarts one with a timeout of 5 s).
 */
const HEARTBEAT = '60s'

/** An attempt may take as long as the data are large: the heartbeat notices death, this only bounds a bug. */
const ATTEMPT = '30 days'

/** An undo must never begin while the step that it undoes still acts. */
const STOPPED_BEFORE_UNDO = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED

/** Activities on the tablet's own agent, by what may be tried again and for how long. */
export function onTablet(tablet: TabletAlias, agentTimeout: string) {
  const base = {
    taskQueue: agentQueue(tablet),
    heartbeatTimeout: HEARTBEAT,
    startToCloseTimeout: ATTEMPT,
    cancellationType: STOPPED_BEFORE_UNDO,
  } as const
  return {
    /** Harmless first contact: nobody there is noticed here, before anything is touched, and only here. */
    contact: proxyActivities<TabletActivities>({
      ...base,
      scheduleToStartTimeout: agentTimeout as '1m',
      retry: { maximumAttempts: 3, initialInterval: '1s' },
    }),
    /** Steps that may fail for a moment. What fails five times fails the run, and the tablet goes back into service. */
    steps: proxyActivities<TabletActivities>({
      ...base,
      retry: { maximumAttempts: 5, initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
    }),
    /** What is done while the tablet serves: a store or a host that is away for a while is waited for, about a quarter of an hour. */
    unhurried: proxyActivities<TabletActivities>({
      ...base,
      retry: { maximumAttempts: 20, initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '60s' },
    }),
    /** The way back: tried until it succeeds, for days when the host is gone. */
    wayBack: proxyActivities<TabletActivities>({
      ...base,
      retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
    }),
  }
}

/** Activities that need only storage. Cleaning up is worth some minutes, not a run that stays open: expiry finds the rest. */
export function onControl() {
  return proxyActivities<ControlActivities>({
    taskQueue: CONTROL_QUEUE,
    heartbeatTimeout: HEARTBEAT,
    startToCloseTimeout: '1h',
    retry: { maximumAttempts: 6, initialInterval: '1s', backoffCoefficient: 3, maximumInterval: '60s' },
  })
}

/** Reading backups takes as long as they are large; storage that is away is waited for, about a quarter of an hour. */
export function onStorage() {
  return proxyActivities<VerifyActivities>({
    taskQueue: CONTROL_QUEUE,
    heartbeatTimeout: HEARTBEAT,
    startToCloseTimeout: ATTEMPT,
    // There is nothing to undo: a run that is cancelled ends at once, and its reading soon after.
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 20, initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '60s' },
  })
}

export type TabletAgent = ReturnType<typeof onTablet>
