import { Worker, type WorkerInterceptors } from '@temporalio/worker'
import { activitiesOf } from '../activities/tablet-activities.ts'
import type { Config } from '../model/config.ts'
import { agentIdentity, type Machine } from '../model/machine.ts'
import { agentQueue } from '../model/runs.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { recentCopiers } from '../tablets/copy-ledger-path.ts'
import type { RunIdentity } from '../tablets/run-state.ts'
import type { OpenTablet } from './open-tablet.ts'
import { endInterruptedSteps, runStateOf } from './run-state.ts'
import { agentsElsewhere } from './sole-agent.ts'
import type { TemporalLink } from './temporal.ts'

export interface TabletWorkerOptions {
  readonly config: Config
  readonly store: ObjectStore
  readonly machine: Machine
  readonly interceptors?: WorkerInterceptors | undefined
  readonly signalAfter?: readonly number[] | undefined
  /** Called when an activity is told that its workflow is gone. */
  readonly workflowGone: (open: OpenTablet) => void
}

/** Creates the worker that takes a tablet's tasks, after Temporal was told of the steps that ended with an agent before. */
export async function tabletWorker(
  open: OpenTablet,
  link: TemporalLink,
  { config, store, machine, interceptors, signalAfter, workflowGone }: TabletWorkerOptions,
): Promise<Worker> {
  const { tablet, clones, lag, keepType } = open
  const taskQueue = agentQueue(tablet.driver.alias)
  const interrupted = await runsAt(open, link.namespace)
  await Promise.all(interrupted.map((run) => endInterruptedSteps(link.client, taskQueue, run, tablet.log)))
  const context = {
    tablet,
    clones,
    config,
    store,
    lag,
    log: tablet.log,
    agentsElsewhere: async () =>
      (await agentsElsewhere(link.client, tablet.driver.alias, machine)).map(({ identity }) => identity),
    runState: (run: RunIdentity) => runStateOf(link.client, run, tablet.log),
    workflowGone: () => workflowGone(open),
    signalAfter,
    keepType,
  }
  return await Worker.create({
    ...link.workerOptions(interceptors),
    taskQueue,
    identity: agentIdentity(machine, process.pid),
    activities: { ...activitiesOf(context) },
    // A return to service never waits behind a copy; idle polls cost the server, and there is one worker for each tablet.
    maxConcurrentActivityTaskExecutions: 8,
    maxConcurrentActivityTaskPolls: 2,
    // How soon a running step hears that its run was cancelled or terminated.
    maxHeartbeatThrottleInterval: '1s',
    shutdownGraceTime: '1s',
  })
}

/**
 * Runs that were at work on a tablet when its agent ended: the one that holds it, those that copy from clones of it, and those that were
 * about to publish what they have copied.
 */
async function runsAt({ tablet, clones }: OpenTablet, namespace: string): Promise<RunIdentity[]> {
  // What cannot be read is told by the reconciler; the other tablets of this host need their agent.
  const held = await tablet.held().catch(() => undefined)
  const records = await clones.all().catch(() => [])
  // By a lease that came with a copy of the data nobody here was at work.
  if (held?.foreign !== undefined) return []
  const { datadir } = await tablet.driver.layout()
  const copiers = (await recentCopiers(datadir).catch(() => [])).map((run) => ({ ...run, namespace }))
  const runs = [...copiers, ...records, ...(held === undefined ? [] : [held.lease])]
  return [...new Map(runs.map((run) => [run.runId, run])).values()]
}
