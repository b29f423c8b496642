import { describeProgress } from '../../model/progress-report.ts'
import { type Progress, stepTitle } from '../../model/runs.ts'
import type { RunView } from '../run-handle.ts'
import { formatElapsed } from './clock.ts'
import { TITLE_WIDTH, titleOf } from './steps.ts'
import { renderWaiting, waitingOf } from './waiting.ts'

/** The step under way in few words: `4 files copied 63%`; undefined between steps and after the end. */
export function currentStep(
  view: RunView,
): { readonly step: string; readonly title: string; readonly since: Date } | undefined {
  const { progress, status } = view
  if (progress?.current) {
    const { step, since } = progress.current
    return { step, title: stepTitle(step, progress.kind), since: new Date(since) }
  }
  // Without an answer from control, the activity tells which step it is.
  if (progress === undefined && status?.activity) {
    const { step, since } = status.activity
    return { step, title: titleOf(step, status.kind), since }
  }
  return undefined
}

/** `4 files copied       63%  25.9/41.2 GiB  100/214 files  412 MiB/s  38s left`; undefined when nothing is under way. */
export function renderCurrent(view: RunView): string | undefined {
  const waiting = waitingOf(view)
  const current = currentStep(view)
  if (current === undefined) return waiting === undefined ? undefined : renderWaiting(waiting, view.at)
  const progress = view.status?.activity?.progress
  const title = current.title.padEnd(TITLE_WIDTH)
  const elapsed = formatElapsed(current.since, view.at).padStart(6)
  if (waiting !== undefined) return `${title} ${elapsed}  ${renderWaiting(waiting, view.at)}`
  if (progress !== undefined) return renderCopying(current.title, progress)
  return `${title} ${elapsed}`
}

/** A step that copies: `4 files copied       63%  25.9/41.2 GiB  100/214 files  412 MiB/s  38s left` */
export function renderCopying(title: string, progress: Progress): string {
  const start = `${title.padEnd(TITLE_WIDTH)} ${renderPercent(progress).padStart(6)}`
  return [start, ...describeProgress(progress)].join('  ')
}

/** `63%` */
export function renderPercent({ bytesDone, bytesTotal }: Progress): string {
  return bytesTotal === 0 ? '0%' : `${Math.min(100, Math.floor((bytesDone / bytesTotal) * 100))}%`
}
