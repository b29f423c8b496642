import type { StepName } from '../../model/runs.ts'
import type { World } from './world.ts'

/** Value of temporal.api.enums.v1.TimeoutType. */
const HEARTBEAT = 4

/** A run, as it is named in Temporal. */
interface NamedRun {
  readonly workflowId: string
  readonly runId: string
}

/** Steps of a run that were tried again only because whoever was at them had been silent for a minute. */
export async function awaitedHeartbeats(world: World, run: NamedRun): Promise<string[]> {
  return (await startedActivities(world, run)).flatMap(({ step, lastFailure }) =>
    lastFailure?.timeoutFailureInfo?.timeoutType === HEARTBEAT ? [step] : [],
  )
}

/** Which attempts of a step came to an end: 1 where nothing hindered the first. */
export async function attemptsOf(world: World, run: NamedRun, wanted: StepName): Promise<number[]> {
  return (await startedActivities(world, run)).flatMap(({ step, attempt }) => (step === wanted ? [attempt ?? 0] : []))
}

async function startedActivities({ client }: World, { workflowId, runId }: NamedRun) {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory()
  const steps = new Map<string, string>()
  return (events ?? []).flatMap((event) => {
    const name = event.activityTaskScheduledEventAttributes?.activityType?.name
    if (typeof name === 'string') steps.set(String(event.eventId), name)
    const started = event.activityTaskStartedEventAttributes
    return started ? [{ ...started, step: steps.get(String(started.scheduledEventId)) ?? 'an unnamed step' }] : []
  })
}
