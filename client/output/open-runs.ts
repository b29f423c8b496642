import { describeProgress } from '../../model/progress-report.ts'
import type { TabletReport } from '../../model/report.ts'
import type { RunProgress } from '../../model/runs.ts'
import type { RunView } from '../run-handle.ts'
import type { RunStatus } from '../run-status.ts'
import type { OpenRun } from '../tabletkeeper.ts'
import { formatElapsed } from './clock.ts'
import { openFailureDocument } from './failure.ts'
import { currentStep, renderPercent } from './progress.ts'
import type { Column } from './table.ts'
import { waitingOf } from './waiting.ts'

/** An open run and what its tablet's agent says of it, if that answered. */
export interface ShownRun {
  readonly status: RunStatus
  readonly view: RunView
  readonly report: TabletReport | undefined
}

export const RUN_COLUMNS: readonly Column[] = [
  { title: 'TABLET' },
  { title: 'RUN' },
  { title: 'STEP' },
  { title: 'SINCE', align: 'right' },
  { title: 'STATE' },
]

/** What is known of a run that Temporal has listed, and then did not answer for. */
export function statusAsListed({ workflowId, runId, kind, startedAt }: OpenRun): RunStatus {
  return {
    workflowId,
    runId,
    kind,
    state: 'running',
    startedAt,
    closedAt: undefined,
    subject: undefined,
    shard: undefined,
    activity: undefined,
    controlAwaitedSince: undefined,
  }
}

/** The run as a row of `RUN_COLUMNS`. */
export function runRow(run: ShownRun): string[] {
  const { status, view, report } = run
  const current = currentStep(view)
  const progress = status.activity?.progress
  const step =
    current === undefined ? '-' : `${current.title}${progress === undefined ? '' : ` ${renderPercent(progress)}`}`
  return [
    subjectOf(run),
    status.kind,
    step,
    formatElapsed(current?.since ?? status.startedAt, view.at),
    stateOf(view, report),
  ]
}

/** Counters of the step under way, which the row has no room for. */
export function runCounters({ status }: Pick<ShownRun, 'status'>): string[] {
  const progress = status.activity?.progress
  return progress === undefined ? [] : [`  ${describeProgress(progress).join('  ')}`]
}

/** What the person may want to know beyond the row: for how long the tablet is away, and what to type; the run's id is in it. */
export function runNotes({ status, view }: Pick<ShownRun, 'status' | 'view'>): string[] {
  const since = view.progress === undefined ? undefined : outOfServiceSince(view.progress, view.at)
  const hint = waitingOf(view)?.hint
  const parts = [
    ...(since === undefined ? [] : [`out of service ${formatElapsed(since, view.at)}.`]),
    ...(hint === undefined ? [] : [hint]),
    ...(hint?.includes(status.workflowId) ? [] : [`To stop it: tabletkeeper cancel ${status.workflowId}`]),
  ]
  return [`  ${parts.join(' ')}`]
}

/** What the run is about: a tablet, or of a verification the shard; its own id where neither control nor the memo tells. */
export function subjectOf({ status, view }: Pick<ShownRun, 'status' | 'view'>): string {
  return view.progress?.tablet ?? view.progress?.shard ?? status.subject?.tablet ?? status.workflowId
}

/** The run as `--json` shows it. */
export function runDocument({ status, view, report }: ShownRun) {
  const { workflowId, runId, kind, state, startedAt, closedAt, subject, shard, activity } = status
  const current = currentStep(view)
  const waiting = waitingOf(view)
  const since = view.progress === undefined ? undefined : outOfServiceSince(view.progress, view.at)
  const failure = view.progress?.failure ?? null
  return {
    workflowId,
    runId,
    kind,
    state,
    shard: view.progress?.shard ?? shard ?? null,
    tablet: view.progress?.tablet ?? subject?.tablet ?? null,
    backup: view.progress?.backup ?? null,
    startedAt,
    closedAt: closedAt ?? null,
    step: current?.step ?? null,
    stepSince: current?.since ?? null,
    attempt: activity?.attempt ?? null,
    progress: activity?.progress ?? null,
    waitingFor: waiting?.for ?? null,
    hint: waiting?.hint ?? null,
    outOfServiceSince: since ?? null,
    serving: report?.serving ?? null,
    lagSeconds: report?.lagSeconds ?? null,
    done: view.progress?.done ?? null,
    failure: failure === null ? null : openFailureDocument(workflowId, failure),
  }
}

/** Since when the tablet is away, told from how long each step took; undefined while it serves as far as the run is concerned. */
export function outOfServiceSince({ done, current }: RunProgress, now: Date): Date | undefined {
  if (done.some(({ step }) => step === 'releaseTablet' || step === 'returnToService')) return undefined
  const began = done.findIndex(({ step }) => step === 'takeOutOfService')
  if (began === -1 && current?.step !== 'takeOutOfService') return undefined
  const seconds = began === -1 ? 0 : done.slice(began).reduce((sum, step) => sum + step.seconds, 0)
  const until = current === null ? now.getTime() : Date.parse(current.since)
  return new Date(until - seconds * 1000)
}

function stateOf(view: RunView, report: TabletReport | undefined): string {
  const waiting = waitingOf(view)
  if (waiting !== undefined) return waiting.isStuck ? `WAITING: ${waiting.for}` : `running, waits for ${waiting.for}`
  if (view.status?.state !== 'running') return view.status?.state ?? 'unknown'
  if (report === undefined) return 'running'
  if (report.lease?.runId === view.status.runId) return 'running, out of service'
  return report.serving ? 'running, serving' : `running, not serving: ${report.reason}`
}
