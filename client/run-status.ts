import type { WorkflowExecutionDescription } from '@temporalio/client'
import { parseAlias } from '../model/alias.ts'
import { parseProgress } from '../model/progress-report.ts'
import { type Progress, type RunSubject, SUBJECT_MEMO } from '../model/runs.ts'
import { parseShardName, type ShardName } from '../model/shard-name.ts'
import type { PayloadReader } from './payload-reader.ts'

/** Where a run stands, as Temporal itself knows it: no worker needs to answer for this. */
export interface RunStatus {
  readonly workflowId: string
  readonly runId: string
  /** The workflow's type: `backup`, `restore`, `bootstrap`. */
  readonly kind: string
  readonly state: RunState
  readonly startedAt: Date
  readonly closedAt: Date | undefined
  /** Which tablet it is about; undefined for runs that were started by other means than this client. */
  readonly subject: RunSubject | undefined
  /** The same of its shard, which a verification has too. */
  readonly shard: ShardName | undefined
  readonly activity: PendingActivity | undefined
  /** Since when the workflow itself waits for a worker to go on: `tabletkeeper control` is down when this is long ago. */
  readonly controlAwaitedSince: Date | undefined
}

export type RunState = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed out' | 'other'

/** The step under way, and what it waits for. */
export interface PendingActivity {
  /** Names it among the activities of its run. */
  readonly id: string
  /** The name of the step, see `STEP_TITLES`. */
  readonly step: string
  readonly state: 'working' | 'waiting for a worker' | 'waiting to try again' | 'paused'
  /** The queue it waits on, where the server says so. */
  readonly queue: string | undefined
  readonly since: Date
  readonly attempt: number
  readonly nextAttemptAt: Date | undefined
  /** Why the attempt before failed; `type` is one of the taxonomy as a rule. */
  readonly lastFailure:
    | { readonly type: string | undefined; readonly message: string; readonly hint?: string | undefined }
    | undefined
  readonly lastWorker: string | undefined
  /** Counters of a step that copies. */
  readonly progress: Progress | undefined
  /** What the step itself says that it waits for. */
  readonly waitingFor: string | undefined
}

/** Reads what Temporal says about a run. */
export async function readRunStatus(
  description: WorkflowExecutionDescription,
  now: Date,
  payloads: PayloadReader,
): Promise<RunStatus> {
  const { raw } = description
  const activities = (raw.pendingActivities ?? []).map((activity) => readActivity(activity, now, payloads))
  const pendingTask = raw.pendingWorkflowTask
  return {
    workflowId: description.workflowId,
    runId: description.runId,
    kind: description.type,
    state: STATES.get(description.status.name) ?? 'other',
    startedAt: description.startTime,
    closedAt: description.closeTime,
    subject: readSubject(description.memo?.[SUBJECT_MEMO]),
    shard: readShard(description.memo?.[SUBJECT_MEMO]),
    activity: latest(await Promise.all(activities)),
    controlAwaitedSince: pendingTask
      ? dateOf(pendingTask.originalScheduledTime ?? pendingTask.scheduledTime)
      : undefined,
  }
}

/** Reads the memo of a run or a schedule; anything else than what this client writes is nothing. */
export function readSubject(memo: unknown): RunSubject | undefined {
  const shard = readShard(memo)
  if (shard === undefined || typeof memo !== 'object' || memo === null || !('tablet' in memo)) return undefined
  try {
    return { shard, tablet: parseAlias(String(memo.tablet)) }
  } catch {
    return undefined
  }
}

function readShard(memo: unknown): ShardName | undefined {
  if (typeof memo !== 'object' || memo === null || !('shard' in memo)) return undefined
  try {
    return parseShardName(String(memo.shard))
  } catch {
    return undefined
  }
}

type RawActivity = NonNullable<NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number]>
type RawTime = RawActivity['scheduledTime']

const STATES: ReadonlyMap<string, RunState> = new Map([
  ['RUNNING', 'running'],
  ['COMPLETED', 'completed'],
  ['FAILED', 'failed'],
  ['CANCELLED', 'cancelled'],
  ['TERMINATED', 'terminated'],
  ['TIMED_OUT', 'timed out'],
])

/** Values of temporal.api.enums.v1.PendingActivityState. */
const SCHEDULED = 1
const PAUSED = 4

async function readActivity(raw: RawActivity, now: Date, payloads: PayloadReader): Promise<PendingActivity> {
  const nextAttemptAt = dateOf(raw.nextAttemptScheduleTime)
  const heartbeat = await payloads.valueOf(raw.heartbeatDetails?.payloads?.[0])
  return {
    id: raw.activityId ?? '',
    step: raw.activityType?.name ?? 'unknown',
    state: stateOf(raw.state ?? 0, nextAttemptAt, now),
    queue: raw.activityOptions?.taskQueue?.name || undefined,
    since: dateOf(raw.state === SCHEDULED ? raw.scheduledTime : (raw.lastStartedTime ?? raw.scheduledTime)) ?? now,
    attempt: raw.attempt ?? 1,
    nextAttemptAt,
    lastFailure: raw.lastFailure
      ? {
          type: raw.lastFailure.applicationFailureInfo?.type || undefined,
          message: await payloads.messageOf(raw.lastFailure),
          hint: hintOf(await payloads.valueOf(raw.lastFailure.applicationFailureInfo?.details?.payloads?.[0])),
        }
      : undefined,
    lastWorker: raw.lastWorkerIdentity || undefined,
    progress: parseProgress(heartbeat),
    waitingFor: waitingForOf(heartbeat),
  }
}

function stateOf(state: number, nextAttemptAt: Date | undefined, now: Date): PendingActivity['state'] {
  if (state === PAUSED) return 'paused'
  if (state !== SCHEDULED) return 'working'
  return nextAttemptAt !== undefined && nextAttemptAt > now ? 'waiting to try again' : 'waiting for a worker'
}

/** Of a foreseen failure of a step. */
function hintOf(details: unknown): string | undefined {
  if (typeof details !== 'object' || details === null || !('hint' in details)) return undefined
  return typeof details.hint === 'string' ? details.hint : undefined
}

function waitingForOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('waitingFor' in value)) return undefined
  return typeof value.waitingFor === 'string' ? value.waitingFor : undefined
}

function latest(activities: readonly PendingActivity[]): PendingActivity | undefined {
  return activities.toSorted((a, b) => b.since.getTime() - a.since.getTime())[0]
}

function dateOf(time: RawTime): Date | undefined {
  if (!time) return undefined
  const milliseconds = Number(time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1e6)
  return milliseconds > 0 ? new Date(milliseconds) : undefined
}
