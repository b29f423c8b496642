import { ApplicationFailure, Client, WorkflowNotFoundError } from '@temporalio/client'
import type { Logger } from 'pino'
import { messageOf } from '../model/errors.ts'
import type { RunIdentity, RunState } from '../tablets/run-state.ts'
import { withinLimit } from './within-limit.ts'

/** A server that hangs must not keep the reconciler from what it can do without it. */
const ANSWER_LIMIT = 5_000

/**
 * Asks Temporal whether a run is still open: by run id, since a reset or a restart under the same workflow id is another run. A run that
 * the server does not know (deleted, or its database lost) is closed.
 */
export async function runStateOf(client: Client, run: RunIdentity, log: Logger): Promise<RunState> {
  try {
    const { workflow } = inNamespaceOf(client, run)
    const description = await answered(workflow.getHandle(run.workflowId, run.runId).describe())
    return description.status.name === 'RUNNING' ? 'open' : 'closed'
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'closed'
    log.debug(
      { event: 'reconcile', err: error },
      `Temporal cannot say whether run ${run.runId} is open: ${messageOf(error)}`,
    )
    return 'unknown'
  }
}

/** Value of temporal.api.enums.v1.PendingActivityState. */
const STARTED = 2

/**
 * Tells Temporal that what a run waits for ended with the agent that died at it, so that it is tried again at once and not when its
 * heartbeat times out. To be called by the tablet's only agent, before it takes tasks: whatever is at work then is not.
 */
export async function endInterruptedSteps(client: Client, queue: string, run: RunIdentity, log: Logger): Promise<void> {
  const { workflowId, runId } = run
  try {
    const { workflow, activity } = inNamespaceOf(client, run)
    const { raw } = await answered(workflow.getHandle(workflowId, runId).describe())
    for (const { activityId, activityType, activityOptions, state } of raw.pendingActivities ?? []) {
      if (state !== STARTED || activityOptions?.taskQueue?.name !== queue || !activityId) continue
      const step = activityType?.name ?? activityId
      const failure = ApplicationFailure.retryable(`the agent ended in mid-step ${step}`, 'AgentRestarted')
      await answered(activity.fail({ workflowId, runId, activityId }, failure))
      log.info({ event: 'interrupted', workflowId, step }, `step ${step} was interrupted: its retry is asked for now`)
    }
  } catch (error) {
    log.debug({ event: 'interrupted', err: error }, `run ${runId} waits for its heartbeat: ${messageOf(error)}`)
  }
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  return await withinLimit(answer, ANSWER_LIMIT, 'no answer')
}

function inNamespaceOf(client: Client, { namespace }: RunIdentity): Client {
  if (namespace === client.options.namespace) return client
  const { dataConverter } = client.options
  return new Client({ connection: client.connection, namespace, ...(dataConverter && { dataConverter }) })
}
