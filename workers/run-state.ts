import { ApplicationFailure, Client, WorkflowNotFoundError } from '@temporalio/client'
import type { Logger } from 'pino'
import { messageOf } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import type { RunState } from './reconciler.ts'

/**
 * Asks Temporal whether the run that holds a lease is still open: by run id, since a reset or a restart under the same workflow id is
 * another run. A run that the server does not know (deleted, or its database lost) is closed.
 */
export async function runStateOf(client: Client, lease: Lease, log: Logger): Promise<RunState> {
  try {
    const description = await inNamespaceOf(client, lease).workflow.getHandle(lease.workflowId, lease.runId).describe()
    return description.status.name === 'RUNNING' ? 'open' : 'closed'
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'closed'
    log.debug(
      { event: 'reconcile', err: error },
      `Temporal cannot say whether run ${lease.runId} is open: ${messageOf(error)}`,
    )
    return 'unknown'
  }
}

/**
 * Tells Temporal that the step in the lease ended with the agent that died in it, so that its retry comes at once and not when the
 * heartbeat times out.
 */
export async function endInterruptedStep(client: Client, lease: Lease | undefined, log: Logger): Promise<void> {
  if (lease?.step == null || lease.state === 'returning') return
  const { workflowId, runId, step } = lease
  try {
    await inNamespaceOf(client, lease).activity.fail(
      { workflowId, runId, activityId: step.activityId },
      ApplicationFailure.retryable(`the agent ended in mid-step ${step.name}`, 'AgentRestarted'),
    )
    log.info(
      { event: 'interrupted', workflowId, step: step.name },
      `step ${step.name} was interrupted: its retry is asked for now`,
    )
  } catch (error) {
    log.debug({ event: 'interrupted', err: error }, `step ${step.name} is no longer waited for: ${messageOf(error)}`)
  }
}

function inNamespaceOf(client: Client, lease: Lease): Client {
  if (lease.namespace === client.options.namespace) return client
  return new Client({ connection: client.connection, namespace: lease.namespace })
}
