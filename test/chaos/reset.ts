import { randomUUID } from 'node:crypto'
import type { Client } from '@temporalio/client'
import type { RunHandle } from '../../client/run-handle.ts'
import type { StepName } from '../../model/runs.ts'

/** Resets a run to the workflow task in which it scheduled `step`, or to its last one where it has not come there yet. */
export async function resetToStep(client: Client, run: RunHandle<unknown>, step: StepName): Promise<void> {
  const { workflowId, runId } = run
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory()
  const scheduled = (events ?? []).find(({ activityTaskScheduledEventAttributes: scheduledAs }) =>
    scheduledAs?.activityType?.name?.startsWith(step),
  )
  const lastTask = (events ?? []).findLast(
    (event) =>
      event.workflowTaskCompletedEventAttributes !== undefined && event.workflowTaskCompletedEventAttributes !== null,
  )
  await client.workflowService.resetWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: { workflowId, runId },
    workflowTaskFinishEventId:
      scheduled?.activityTaskScheduledEventAttributes?.workflowTaskCompletedEventId ?? lastTask?.eventId ?? null,
    requestId: randomUUID(),
    reason: 'by the fault matrix',
  })
}
