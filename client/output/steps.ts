import { type RunProgress, STEP_TITLES, type StepName, stepTitle } from '../../model/runs.ts'
import { formatDuration } from '../../model/units.ts'
import { shortenPosition } from './position.ts'
import type { Paint } from './terminal.ts'

/** A step that is over, as the list of steps shows it. */
export interface ShownStep {
  readonly outcome: 'done' | 'failed'
  readonly title: string
  readonly seconds: number | undefined
  readonly detail: string
}

/** Bookkeeping of the lease: of interest in the history, not on the terminal. */
const UNSHOWN: ReadonlySet<StepName> = new Set<StepName>(['takeTablet', 'releaseTablet'])

/** The longest title that a step of the runbook has; longer ones push their line out. */
export const TITLE_WIDTH = 17

/** What a run did so far, in the order in which it happened: the list only ever grows at its end. */
export function shownSteps(progress: RunProgress): ShownStep[] {
  const { done, failure } = progress
  const steps = done
    .filter(({ step }) => !UNSHOWN.has(step))
    .map(({ step, seconds, detail }) => ({ step, shown: showDone(stepTitle(step, progress.kind), seconds, detail) }))
  if (failure === null) return steps.map(({ shown }) => shown)
  const failed: ShownStep = {
    outcome: 'failed',
    title: failure.step === null ? 'run' : stepTitle(failure.step, progress.kind),
    seconds: undefined,
    detail: failure.message.split('\n')[0] ?? '',
  }
  const before = steps.filter(({ step }) => !followsFailure(step, failure.step))
  const after = steps.filter(({ step }) => followsFailure(step, failure.step))
  return [...before.map(({ shown }) => shown), failed, ...after.map(({ shown }) => shown)]
}

/** ` ✓ 3 mysqld stopped  3.2s  clean` */
export function renderStep({ outcome, title, seconds, detail }: ShownStep, paint: Paint): string {
  const mark = outcome === 'done' ? paint.good('✓') : paint.bad('✗')
  const took = seconds === undefined ? '' : formatDuration(seconds * 1000)
  return ` ${mark} ${title.padEnd(TITLE_WIDTH)} ${took.padStart(6)}  ${detail}`.trimEnd()
}

/** The title of what may be a step: an activity that is none is shown by its own name. */
export function titleOf(step: string, kind: string): string {
  return isStep(step) ? stepTitle(step, kind) : step
}

function isStep(step: string): step is StepName {
  return Object.hasOwn(STEP_TITLES, step)
}

/** The workflow does not say when a failure happened: step 4 of a backup is followed by steps 5 and 6, all others by the way back. */
function followsFailure(step: StepName, failed: StepName | null): boolean {
  if (step === 'returnToService' || step === 'discardBackup' || step === 'dropClone') return true
  return (failed === 'copyFiles' || failed === 'cloneFiles') && (step === 'startMysqld' || step === 'rejoin')
}

function showDone(title: string, seconds: number, detail: string): ShownStep {
  const shown = detail.startsWith('MySQL56/') ? shortenPosition(detail) : detail
  return { outcome: 'done', title, seconds, detail: shown }
}
