import type { Server } from 'node:http'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker, type WorkerInterceptors } from '@temporalio/worker'
import type { Logger } from 'pino'
import { activitiesOf } from '../activities/tablet-activities.ts'
import type { TabletAlias } from '../model/alias.ts'
import { type Config, findTablet, type TabletConfig } from '../model/config.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { agentIdentity, type Machine } from '../model/machine.ts'
import { agentQueue } from '../model/runs.ts'
import type { ReplicaType } from '../model/tablet-type.ts'
import { openStore } from '../storage/kinds.ts'
import { recentCopiers } from '../tablets/copy-ledger-path.ts'
import type { RunIdentity, RunState } from '../tablets/run-state.ts'
import { thisMachine } from './machine.ts'
import { type OpenTablet, openTablet } from './open-tablet.ts'
import { Reconciler } from './reconciler.ts'
import { endInterruptedSteps, runStateOf } from './run-state.ts'
import { serveHealth } from './serving.ts'
import { agentsElsewhere, assertSoleAgent } from './sole-agent.ts'
import { bootstrapEmptyTablet } from './starting-restore.ts'
import { linkToTemporal, type TemporalLink } from './temporal.ts'

/** How long the other workers get to end when one has failed: longer than a step takes to be given up. */
const LAST_WORK = 90_000

export interface AgentOptions {
  readonly config: Config
  /** Undefined: the tablets whose `host` is this one. */
  readonly tablets?: readonly TabletAlias[] | undefined
  /** What this agent's tablets are for, whatever the configuration says. */
  readonly initTabletType?: ReplicaType | undefined
  readonly signal: AbortSignal
  readonly log: Logger
  /** Around every activity: for tracing, and for tests that need a step to fail. */
  readonly interceptors?: WorkerInterceptors
  /** The one that it runs on; for tests, which have one machine. */
  readonly machine?: Machine
  /** When a copy tells its run how far it is (`SIGNAL_AFTER`); for tests. */
  readonly signalAfter?: readonly number[]
  /** Called when every tablet's queue is polled. */
  readonly onReady?: () => void
}

/**
 * Looks after the tablets of this host until aborted. The way back into service and the health endpoint work before and without
 * Temporal; activities run as soon as it can be reached.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { config, signal, log } = options
  const machine = options.machine ?? (await thisMachine())
  const opened = await openTablets(options, machine)
  const ending = new AbortController()
  const failing = new AbortController()
  // What the background waits for, such as a return to service, ends as soon as the agent is told to: its workers may wait for that.
  const stopping = AbortSignal.any([signal, failing.signal, ending.signal])
  let link: TemporalLink | undefined
  let health: Server | undefined
  const runState = async (run: RunIdentity): Promise<RunState> =>
    link === undefined ? 'unknown' : await runStateOf(link.client, run, log)
  const reconcilers = new Map(opened.map((open) => [open, new Reconciler(open, { config, runState })]))
  const background = opened.flatMap((open) => [open.lag.run(ending.signal), reconcilers.get(open)?.run(stopping)])
  try {
    health = await serveHealth(config, opened)
    link = await linkToTemporal(config.temporal, signal, log)
    await pollUntilAborted(options, opened, reconcilers, link, machine, failing)
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    ending.abort()
    health?.close()
    await Promise.all(opened.flatMap((open) => [open.tablet.stop(), open.clones.stop()]))
    await Promise.all(background)
    await Promise.all(opened.map((open) => open.close()))
    await link?.connection.close()
  }
}

async function pollUntilAborted(
  options: AgentOptions,
  opened: readonly OpenTablet[],
  reconcilers: ReadonlyMap<OpenTablet, Reconciler>,
  link: TemporalLink,
  machine: Machine,
  failing: AbortController,
): Promise<void> {
  const { config, signal, log } = options
  const store = await openStore(config.storage)
  await Promise.all(opened.map((open) => assertAlone(open, link, machine, signal)))
  const workers = await Promise.all(
    opened.map(async (open) => {
      const { tablet, clones, lag, keepType } = open
      const taskQueue = agentQueue(tablet.driver.alias)
      const interrupted = await runsAt(open, link.namespace)
      await Promise.all(interrupted.map((run) => endInterruptedSteps(link.client, taskQueue, run, tablet.log)))
      const runState = (run: RunIdentity) => runStateOf(link.client, run, tablet.log)
      const workflowGone = (): void => reconcilers.get(open)?.kick()
      const { signalAfter } = options
      const context = {
        tablet,
        clones,
        config,
        store,
        lag,
        log: tablet.log,
        agentsElsewhere: async () =>
          (await agentsElsewhere(link.client, tablet.driver.alias, machine)).map(({ identity }) => identity),
        runState,
        workflowGone,
        signalAfter,
        keepType,
      }
      return await Worker.create({
        ...link.workerOptions(options.interceptors),
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
    }),
  )
  const shutdown = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown()
  }
  signal.addEventListener('abort', shutdown, { once: true })
  const running = workers.map((worker) => worker.run())
  try {
    log.info(
      {
        event: 'ready',
        tablets: opened.map((open) => open.tablet.driver.alias),
        storage: store.description,
        listen: config.agent.listen,
      },
      'agent polls its tablets',
    )
    options.onReady?.()
    const stopping = AbortSignal.any([signal, failing.signal])
    const starting = config.agent.restoreFromBackup ? opened : []
    await Promise.all([...running, ...starting.map((open) => bootstrapEmptyTablet(link.client, open, stopping))])
  } finally {
    // Where one fails, the others end before the locks that they work under are given up.
    shutdown()
    failing.abort()
    // No longer than this for one that hangs in a mount: an agent that neither works nor ends is started by nobody.
    await Promise.race([Promise.allSettled(running), delay(LAST_WORK, undefined, { ref: false })])
  }
}

async function assertAlone({ tablet }: OpenTablet, link: TemporalLink, machine: Machine, signal: AbortSignal) {
  const { alias } = tablet.driver
  await assertSoleAgent(link.client, alias, machine, signal, (identity) =>
    tablet.log.warn(
      { event: 'sole agent', identity },
      `${identity} took tasks of ${alias} lately: waiting until it is known to be gone`,
    ),
  )
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

async function openTablets(
  { config, tablets, initTabletType, log }: AgentOptions,
  machine: Machine,
): Promise<OpenTablet[]> {
  const chosen = tablets?.map((alias) => findTablet(config, alias)) ?? tabletsHere(config)
  const opened: OpenTablet[] = []
  try {
    for (const own of chosen) opened.push(await openTablet(config, own, { initTabletType, machine, log }))
  } catch (error) {
    await Promise.all(opened.map((open) => open.close()))
    throw error
  }
  return opened
}

function tabletsHere(config: Config): TabletConfig[] {
  const full = hostname()
  const names = new Set([full, full.split('.')[0], 'localhost', '127.0.0.1', '::1'])
  const here = [...config.shards.values()]
    .flatMap((tablets) => [...tablets.values()])
    .filter((tablet) => names.has(tablet.host))
  if (here.length === 0) {
    throw new TabletkeeperError('InvalidConfig', `no tablet of the configuration has host ${full}`, {
      hint: 'Set its host, or name it: tabletkeeper agent --tablet zone1-101',
    })
  }
  return here
}
