import { CONTROL_QUEUE } from '../../model/runs.ts'
import { formatDuration } from '../../model/units.ts'
import type { RunView } from '../run-handle.ts'
import { formatClock, formatElapsed } from './clock.ts'

/** Why a run does not get on: for what it waits, since when, and what to do about it. */
export interface Waiting {
  readonly for: string
  readonly since: Date
  readonly hint: string | undefined
  /** Whether somebody or something is missing, rather than that the step itself takes its time. */
  readonly isStuck: boolean
}

/** A worker that is there takes a task within milliseconds; this is long enough not to cry wolf, and short for a person. */
const PATIENCE = 5_000
/** Steps name what they wait for at once; most of it is over before anybody could read it. */
const WORTH_TELLING = 2_000

/** What a run waits for, or undefined while it gets on. */
export function waitingOf({ at, status, progress }: RunView): Waiting | undefined {
  if (status === undefined)
    return {
      for: 'Temporal, which does not answer',
      since: at,
      hint: 'The run itself is not lost: it goes on.',
      isStuck: true,
    }
  const { activity, controlAwaitedSince, workflowId } = status
  if (status.state !== 'running') return undefined
  if (controlAwaitedSince !== undefined && progress === undefined && isLong(controlAwaitedSince, at)) {
    return {
      for: 'tabletkeeper control, which does not answer',
      since: controlAwaitedSince,
      hint: 'Start tabletkeeper control on any host: the run goes on from where it is.',
      isStuck: true,
    }
  }
  if (activity === undefined) return undefined
  const { state, since, lastFailure, nextAttemptAt, attempt, queue, waitingFor } = activity
  if (state === 'waiting for a worker' && isLong(since, at)) {
    const worker = queue === CONTROL_QUEUE ? 'tabletkeeper control' : 'an agent'
    return {
      for: `${worker}: nobody takes tasks from ${queue ?? 'its queue'}`,
      since,
      hint:
        worker === 'an agent'
          ? `Host alive: start tabletkeeper agent there. Host gone: tabletkeeper abandon ${workflowId} --host-lost`
          : 'Start tabletkeeper control on any host.',
      isStuck: true,
    }
  }
  if (state === 'waiting to try again' && nextAttemptAt !== undefined) {
    const wait = formatDuration(Math.max(0, nextAttemptAt.getTime() - at.getTime()))
    return {
      for: `attempt ${attempt} at ${formatClock(nextAttemptAt)} (in ${wait}): ${lastFailure?.message ?? 'the one before failed'}`,
      since,
      hint: undefined,
      isStuck: true,
    }
  }
  if (state === 'paused') {
    return {
      for: 'somebody who paused the step in Temporal',
      since,
      hint: `temporal activity unpause --workflow-id ${workflowId} --activity-id ${activity.id}`,
      isStuck: true,
    }
  }
  if (waitingFor === undefined || at.getTime() - since.getTime() < WORTH_TELLING) return undefined
  return { for: waitingFor, since, hint: undefined, isStuck: false }
}

/** `waiting for an agent …, 12s` */
export function renderWaiting(waiting: Waiting, now: Date): string {
  return `waiting ${formatElapsed(waiting.since, now)} for ${waiting.for}`
}

function isLong(since: Date, now: Date): boolean {
  return now.getTime() - since.getTime() >= PATIENCE
}
