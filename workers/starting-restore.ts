import { setTimeout as delay } from 'node:timers/promises'
import {
  ApplicationFailure,
  type Client,
  ServiceError,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client'
import type { Logger } from 'pino'
import { messageOf } from '../model/errors.ts'
import type { BootstrapInput } from '../model/runs.ts'
import { formatDuration } from '../model/units.ts'
import { emptiness } from '../mysql/data/data-directory.ts'
import type { OpenTablet } from './open-tablet.ts'
import { describeStart, runIdOf } from './run-start.ts'
import { registeredAttributes } from './search-attributes.ts'

const FIRST_PAUSE = 5_000
const LOOK_EVERY = 2_000
const LONGEST_PAUSE = 5 * 60_000

interface Failure {
  readonly message: string
  /** Nothing was done yet, and what was missing may come by itself. */
  readonly mayPass: boolean
}

/**
 * `restoreFromBackup` at the agent's start: an empty tablet is bootstrapped, from the shard's latest backup or, when it has none at
 * all, as a new and empty one. A tablet that has data is left alone, and so is one that a run holds. While storage or the primary cannot be
 * reached it is tried again, ever less often up to every five minutes. Resolves when there is nothing more to do or `signal` is aborted;
 * never rejects, since the tablet's agent is needed for more than this.
 */
export async function bootstrapEmptyTablet(client: Client, open: OpenTablet, signal: AbortSignal): Promise<void> {
  try {
    await bootstrapUntilDone(client, open, signal)
  } catch (error) {
    const { log, driver } = open.tablet
    log.error({ event: 'bootstrap', err: error }, `${driver.alias} is not bootstrapped: ${messageOf(error)}`)
  }
}

async function bootstrapUntilDone(client: Client, open: OpenTablet, signal: AbortSignal): Promise<void> {
  const { log } = open.tablet
  for (let pause = FIRST_PAUSE; await isEmptyAndFree(open); pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    const failure = await bootstrap(client, open, signal)
    if (failure === undefined || signal.aborted) return
    open.emptyBecause = failure.message
    const next = failure.mayPass ? `, next try in ${formatDuration(pause)}` : ''
    log.error({ event: 'bootstrap' }, `${open.tablet.driver.alias} stays empty${next}: ${failure.message}`)
    if (!failure.mayPass) return
    await delay(pause, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
  }
}

async function isEmptyAndFree({ tablet }: OpenTablet): Promise<boolean> {
  return (await emptiness(await tablet.driver.layout())) === 'empty' && (await tablet.lease()) === undefined
}

/** Waits for the run's end, or for the agent's. */
async function bootstrap(client: Client, open: OpenTablet, signal: AbortSignal): Promise<Failure | undefined> {
  const { driver, log } = open.tablet
  const input: BootstrapInput = { shard: driver.shard, tablet: driver.alias }
  const workflowId = runIdOf('bootstrap', input, new Date())
  try {
    const start = describeStart('bootstrap', input, await registeredAttributes(client))
    const run = await client.workflow.start('bootstrap', {
      ...start,
      staticSummary: `${start.staticSummary}, at its agent's start`,
      args: [input],
      workflowId,
      workflowIdConflictPolicy: 'USE_EXISTING',
    })
    log.info({ event: 'bootstrap', workflowId }, `${driver.alias} is empty: ${workflowId} restores it`)
    await endOf(run, log, signal)
    return undefined
  } catch (error) {
    return asFailure(error)
  }
}

/** Resolves when the run has succeeded, and rejects when it has failed or is not there: it goes on while Temporal cannot be asked. */
async function endOf(run: WorkflowHandle, log: Logger, signal: AbortSignal): Promise<void> {
  for (let isTold = false; ; await delay(LOOK_EVERY, undefined, { signal })) {
    try {
      // Not `result` alone: a native connection cannot be told to give up waiting for it (TODO of SDK 1.24).
      if ((await run.describe()).status.name !== 'RUNNING') return await run.result()
      isTold = false
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      const { workflowId } = run
      if (!isTold)
        log.warn(
          { event: 'temporal', workflowId, err: error },
          `Temporal cannot be asked about ${workflowId}, which is not lost: ${messageOf(error)}`,
        )
      isTold = true
    }
  }
}

const MAY_PASS = ['StorageUnavailable', 'ReplicationFailed']
const BEFORE_ANYTHING = ['findBackup', 'preflight']

function asFailure(error: unknown): Failure {
  // Temporal could not be asked.
  if (!(error instanceof WorkflowFailedError)) return { message: messageOf(error), mayPass: true }
  const { cause } = error
  if (!(cause instanceof ApplicationFailure)) return { message: messageOf(cause ?? error), mayPass: false }
  const step = stepOf(cause.details?.[0])
  return {
    message: cause.message,
    mayPass: MAY_PASS.includes(cause.type ?? '') && BEFORE_ANYTHING.includes(step),
  }
}

function stepOf(details: unknown): string {
  return typeof details === 'object' && details !== null && 'step' in details ? String(details.step) : ''
}
