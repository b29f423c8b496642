import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { isError, messageOf } from '../model/errors.ts'
import { formatDuration } from '../model/units.ts'
import { openStore } from '../storage/kinds.ts'
import type { AttendedTablet } from './attended-tablet.ts'
import type { OpenTablet } from './open-tablet.ts'
import { runUntilAborted } from './run-worker.ts'
import { assertSoleAgent } from './sole-agent.ts'
import { bootstrapEmptyTablet } from './starting-restore.ts'
import { type TabletWorkerOptions, tabletWorker } from './tablet-worker.ts'
import { type TemporalLink, temporalLinking } from './temporal.ts'

/** How long the other workers get to end when one has failed: longer than a step takes to be given up. */
const LAST_WORK = 90_000

/** Between a worker that failed and the next connection. */
const PAUSE = 5_000

interface PollOptions extends Omit<TabletWorkerOptions, 'store'> {
  readonly signal: AbortSignal
  readonly log: Logger
  /** When what kept a tablet from its agent is looked at again, in milliseconds. */
  readonly lookAgainAfter: number
  /** Called when every tablet's queue is polled, but of those that cannot be looked after now. */
  readonly onReady?: () => void
  /** Told of each new connection, and before its end. */
  readonly linked: (link: TemporalLink | undefined) => void
  /** Called when this fails for good, before what still runs is waited for. */
  readonly fail: () => void
}

/** What Temporal, or the SDK, does to a worker: another one may fare better. */
class WorkerFailed extends Error {
  override readonly name = 'WorkerFailed'
}

/**
 * Takes the tasks of the tablets until aborted, over one connection after another: where Temporal ends a worker (it refuses us, or lost our
 * namespace), what needs no Temporal goes on.
 */
export async function pollTablets(tablets: readonly AttendedTablet[], options: PollOptions): Promise<void> {
  const { config, signal, log, linked } = options
  const linkToTemporal = await temporalLinking(config.temporal, log)
  const starting = new Set(config.agent.restoreFromBackup ? tablets : [])
  for (;;) {
    const link = await linkToTemporal(signal)
    linked(link)
    try {
      const store = await openStore(config.storage)
      await new Polling(tablets, link, starting, { ...options, store }).run()
    } catch (error) {
      if (signal.aborted || !(error instanceof WorkerFailed)) throw error
      log.error(
        { event: 'worker failed', err: error.cause },
        `no tasks are taken, next try in ${formatDuration(PAUSE)}: ${messageOf(error.cause)}`,
      )
    } finally {
      linked(undefined)
      await link.close()
    }
    await delay(PAUSE, undefined, { signal })
  }
}

/** The polling over one connection. */
class Polling {
  readonly #tablets: readonly AttendedTablet[]
  readonly #link: TemporalLink
  /** Those that are bootstrapped if they are empty. */
  readonly #starting: Set<AttendedTablet>
  readonly #options: PollOptions & TabletWorkerOptions
  readonly #ending = new AbortController()
  readonly #stop: AbortSignal
  readonly #working = new Set<AttendedTablet>()
  #isReady = false

  constructor(
    tablets: readonly AttendedTablet[],
    link: TemporalLink,
    starting: Set<AttendedTablet>,
    options: PollOptions & TabletWorkerOptions,
  ) {
    this.#tablets = tablets
    this.#link = link
    this.#starting = starting
    this.#options = options
    this.#stop = AbortSignal.any([options.signal, this.#ending.signal])
  }

  /** Rejects with WorkerFailed when everything has ended, and can be begun anew. */
  async run(): Promise<void> {
    const { fail } = this.#options
    const polled = this.#tablets.map((tablet) => {
      // Undefined is told when it polls, an error why it does not yet.
      const first = Promise.withResolvers<unknown>()
      return { first: first.promise, ended: this.#poll(tablet, first.resolve) }
    })
    const ended = polled.map((one) => one.ended)
    try {
      await Promise.all([...ended, this.#tellReady(polled.map(({ first }) => first))])
    } catch (error) {
      if (!(error instanceof WorkerFailed)) fail()
      // Where one fails, the others end before the locks that they work under are given up.
      this.#ending.abort()
      // No longer than this for one that hangs in a mount: an agent that neither works nor ends is started by nobody.
      await Promise.race([Promise.allSettled(ended), delay(LAST_WORK, undefined, { ref: false })])
      throw this.#working.size > 0 && error instanceof WorkerFailed ? error.cause : error
    }
  }

  async #poll(tablet: AttendedTablet, told: (problem: unknown) => void): Promise<void> {
    if (tablet.open === undefined) told(tablet.problem)
    const open = await tablet.whenOpen(this.#stop)
    await this.#alone(open, told)
    const worker = await ofTemporal(tabletWorker(open, this.#link, this.#options))
    this.#working.add(tablet)
    let bootstrap: Promise<void> | undefined
    const polls = (): void => {
      if (this.#isReady) this.#logReady([tablet])
      told(undefined)
      if (this.#starting.has(tablet)) bootstrap = this.#bootstrap(tablet, open)
    }
    try {
      await ofTemporal(runUntilAborted(worker, this.#stop, polls))
    } finally {
      this.#working.delete(tablet)
    }
    if (!this.#stop.aborted) throw new WorkerFailed('', { cause: new Error('a worker ended by itself') })
    // One that was told to end before it polled keeps nobody waiting.
    told(undefined)
    await bootstrap
  }

  /** Waits until no agent elsewhere takes the tablet's tasks. */
  async #alone({ tablet }: OpenTablet, told: (problem: unknown) => void): Promise<void> {
    const { machine, lookAgainAfter } = this.#options
    const { alias } = tablet.driver
    const waits = (identity: string): void =>
      tablet.log.warn(
        { event: 'sole agent', identity },
        `${identity} took tasks of ${alias} lately: waiting until it is known to be gone`,
      )
    for (;;) {
      try {
        return await assertSoleAgent(this.#link.client, alias, machine, this.#stop, waits)
      } catch (error) {
        if (!isError(error, 'TabletBusy')) throw error
        told(error)
        tablet.log.error(
          { event: 'sole agent', err: error },
          `no tasks of ${alias} are taken, next try in ${formatDuration(lookAgainAfter)}: ${error.message}`,
        )
        await delay(lookAgainAfter, undefined, { signal: this.#stop })
      }
    }
  }

  /** Waits until each tablet is polled or known not to be. @throws why none is */
  async #tellReady(first: readonly Promise<unknown>[]): Promise<void> {
    const problems = await Promise.all(first)
    if (this.#stop.aborted) return
    const polled = this.#tablets.filter((_tablet, index) => problems[index] === undefined)
    // Somebody has to look at it: a process that ends is seen.
    if (polled.length === 0) throw problems.find((problem) => isError(problem, 'TabletBusy')) ?? problems[0]
    this.#isReady = true
    this.#logReady(polled)
    this.#options.onReady?.()
  }

  #logReady(tablets: readonly AttendedTablet[]): void {
    const { config, store, log } = this.#options
    log.info(
      {
        event: 'ready',
        tablets: tablets.map(({ alias }) => alias),
        storage: store.description,
        listen: config.agent.listen,
      },
      'agent polls its tablets',
    )
  }

  async #bootstrap(tablet: AttendedTablet, open: OpenTablet): Promise<void> {
    await bootstrapEmptyTablet(this.#link.client, open, this.#stop)
    if (!this.#stop.aborted) this.#starting.delete(tablet)
  }
}

async function ofTemporal<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (cause) {
    throw new WorkerFailed(messageOf(cause), { cause })
  }
}
