import type { Server } from 'node:http'
import { hostname } from 'node:os'
import type { WorkerInterceptors } from '@temporalio/worker'
import type { Logger } from 'pino'
import type { TabletAlias } from '../model/alias.ts'
import { type Config, findTablet, type TabletConfig } from '../model/config.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Machine } from '../model/machine.ts'
import type { ReplicaType } from '../model/tablet-type.ts'
import type { RunIdentity, RunState } from '../tablets/run-state.ts'
import { AttendedTablet } from './attended-tablet.ts'
import { thisMachine } from './machine.ts'
import { type OpenTablet, openTablet } from './open-tablet.ts'
import { pollTablets } from './poll-tablets.ts'
import { Reconciler } from './reconciler.ts'
import { runStateOf } from './run-state.ts'
import { serveHealth } from './serving.ts'
import type { TemporalLink } from './temporal.ts'

/** When what kept a tablet from its agent is looked at again. */
const LOOK_AGAIN_AFTER = 60_000

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
  /** When what kept a tablet from its agent is looked at again, in milliseconds; for tests. */
  readonly lookAgainAfter?: number
  /** Called when every tablet's queue is polled, but of those that cannot be looked after now. */
  readonly onReady?: () => void
}

/**
 * Looks after the tablets of this host until aborted. The way back into service and the health endpoint work before and without
 * Temporal; activities run as soon as it can be reached.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { config, signal, log, lookAgainAfter = LOOK_AGAIN_AFTER } = options
  const machine = options.machine ?? (await thisMachine())
  const attended = await attend(options, machine)
  const ending = new AbortController()
  const failing = new AbortController()
  // What the background waits for, such as a return to service, ends as soon as the agent is told to: its workers may wait for that.
  const stopping = AbortSignal.any([signal, failing.signal, ending.signal])
  let link: TemporalLink | undefined
  let health: Server | undefined
  const runState = async (run: RunIdentity): Promise<RunState> =>
    link === undefined ? 'unknown' : await runStateOf(link.client, run, log)
  const reconcilers = new Map<OpenTablet, Reconciler>()
  const lookAfter = async (tablet: AttendedTablet): Promise<void> => {
    const open = await tablet.openWhenPossible(stopping, lookAgainAfter)
    if (open === undefined) return
    const reconciler = new Reconciler(open, { config, runState })
    reconcilers.set(open, reconciler)
    await Promise.all([open.lag.run(ending.signal), reconciler.run(stopping)])
  }
  const background = attended.map(lookAfter)
  const opened = (): OpenTablet[] => attended.flatMap(({ open }) => open ?? [])
  try {
    health = await serveHealth(config, attended)
    await pollTablets(attended, {
      ...options,
      machine,
      lookAgainAfter,
      workflowGone: (open) => reconcilers.get(open)?.kick(),
      linked: (now) => {
        link = now
      },
      fail: () => failing.abort(),
    })
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    ending.abort()
    health?.close()
    await Promise.all(opened().flatMap((open) => [open.tablet.stop(), open.clones.stop()]))
    await Promise.all(background)
    await Promise.all(opened().map((open) => open.close()))
  }
}

/** @throws why the first of them cannot be opened, when none can */
async function attend(
  { config, tablets, initTabletType, log }: AgentOptions,
  machine: Machine,
): Promise<AttendedTablet[]> {
  const chosen = tablets?.map((alias) => findTablet(config, alias)) ?? tabletsHere(config)
  const attended = chosen.map(
    (own) => new AttendedTablet(own.alias, () => openTablet(config, own, { initTabletType, machine, log }), log),
  )
  for (const tablet of attended) await tablet.tryToOpen()
  if (attended.every(({ open }) => open === undefined)) throw attended[0]?.problem
  return attended
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
