import type { World } from './world.ts'

/** Value of temporal.api.enums.v1.TimeoutType. */
const HEARTBEAT = 4

/** Steps of a run that were tried again only because whoever was at them had been silent for a minute. */
export async function awaitedHeartbeats(
  { client }: Pick<World, 'client'>,
  run: { readonly workflowId: string; readonly runId: string },
): Promise<string[]> {
  const { events } = await client.workflow.getHandle(run.workflowId, run.runId).fetchHistory()
  const scheduled = new Map(
    (events ?? []).map((event) => [
      String(event.eventId),
      event.activityTaskScheduledEventAttributes?.activityType?.name,
    ]),
  )
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
    started?.lastFailure?.timeoutFailureInfo?.timeoutType === HEARTBEAT
      ? [scheduled.get(String(started.scheduledEventId)) ?? 'an unnamed step']
      : [],
  )
}
