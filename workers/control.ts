import { Worker } from '@temporalio/worker'
import type { Logger } from 'pino'
import { controlActivities } from '../activities/catalogue.ts'
import { verifyActivities } from '../activities/verify.ts'
import type { Config } from '../model/config.ts'
import { CONTROL_QUEUE } from '../model/runs.ts'
import { openStore } from '../storage/kinds.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { registerSearchAttributes } from './register-search-attributes.ts'
import { runUntilAborted } from './run-worker.ts'
import { linkToTemporal, type TemporalLink } from './temporal.ts'
import { workflowCode } from './workflow-code.ts'

export interface ControlOptions {
  readonly config: Config
  readonly signal: AbortSignal
  readonly log: Logger
  /** Called when it polls. */
  readonly onReady?: () => void
}

/**
 * A bug in a workflow fails its run at once, so that the agent returns the tablet, instead of blocking it for ever with the tablet out
 * of service.
 */
const FAIL_INSTEAD_OF_BLOCKING = { '*': ['NondeterminismError', 'Error'] }

/** Runs workflows, and activities that need only storage, until aborted. */
export async function runControl(options: ControlOptions): Promise<void> {
  const { config, signal, log } = options
  const store = await openStore(config.storage)
  const link = await linkToTemporal(config.temporal, signal, log).catch((error: unknown) => {
    if (signal.aborted) return undefined
    throw error
  })
  if (link === undefined) return
  try {
    await runWorkflows(options, store, link)
  } finally {
    // Also where it failed: an open connection keeps the process alive, which would neither work nor be started again.
    await link.close()
  }
}

async function runWorkflows(
  { config, signal, log, onReady }: ControlOptions,
  store: ObjectStore,
  link: TemporalLink,
): Promise<void> {
  const { namespace, client } = link
  await registerSearchAttributes(client, namespace, log)
  const code = workflowCode(link.isEncrypted)
  const worker = await Worker.create({
    ...link.workerOptions(code.interceptors),
    taskQueue: CONTROL_QUEUE,
    ...code.source,
    activities: { ...controlActivities(store, log), ...verifyActivities(store, config, { log }) },
    workflowFailureErrorTypes: FAIL_INSTEAD_OF_BLOCKING,
    // Progress is seen from outside as it is, and a verification hears within a second that it was cancelled.
    maxHeartbeatThrottleInterval: '1s',
    shutdownGraceTime: '10s',
  })
  await runUntilAborted(worker, signal, () => {
    log.info({ event: 'ready', namespace, queue: CONTROL_QUEUE, storage: store.description }, 'control runs workflows')
    onReady?.()
  })
}
