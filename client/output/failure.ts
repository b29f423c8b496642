import { type ErrorType, EXIT_CODES, isError, messageOf } from '../../model/errors.ts'
import { type ReturnedBy, STEP_TITLES, type StepName } from '../../model/runs.ts'
import { DamagedBackup, type VerifyResult } from '../../model/verification.ts'
import type { Paint } from './terminal.ts'

/** A failure as the command line shows it. */
export interface ShownFailure {
  readonly type: string
  readonly message: string
  readonly hint: string | undefined
  readonly exitCode: number
  readonly workflowId: string | undefined
  readonly step: StepName | undefined
  readonly returnedBy: ReturnedBy | undefined
  readonly suppressed: readonly string[]
  /** What a verification found, damage and all. */
  readonly verification: VerifyResult | undefined
  /** Where in the code it happened, for what nobody foresaw. */
  readonly trace: readonly string[]
}

/** Exit statuses that no type of failure stands for. */
export const EXIT = { done: 0, failed: 1, usage: 2, verificationFailed: 30, tryLater: 75, interrupted: 130 } as const

/** Ctrl-C where a question was asked: nothing was begun. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'

  constructor() {
    super('nothing was changed')
  }
}

/** What the end of a run tells; told by its fields, so that commands which need no Temporal do not load its client. */
interface RunEnd {
  readonly workflowId: string
  readonly type: string
  readonly hint: string | undefined
  readonly step: StepName | undefined
  readonly returnedBy: ReturnedBy | undefined
  readonly suppressed: readonly string[]
  readonly verification: VerifyResult | undefined
}

/** Reads anything that a command threw. */
export function describeFailure(error: unknown): ShownFailure {
  const message = messageOf(error)
  const bare = {
    hint: undefined,
    workflowId: undefined,
    step: undefined,
    returnedBy: undefined,
    suppressed: [],
    verification: undefined,
    trace: [],
  }
  if (isRunEnd(error)) {
    const { workflowId, type, hint, step, returnedBy, suppressed, verification } = error
    const told = { workflowId, hint, step, returnedBy, suppressed, verification }
    return { ...bare, ...told, type, message, exitCode: exitCodeOf(type) }
  }
  if (isError(error)) {
    const verification = error instanceof DamagedBackup ? error.verification : undefined
    return { ...bare, type: error.type, message, hint: error.hint, exitCode: EXIT_CODES[error.type], verification }
  }
  if (isTemporalUnavailable(error)) {
    return { ...bare, type: error.name, message, hint: error.hint, exitCode: EXIT.tryLater }
  }
  if (error instanceof Interrupted) return { ...bare, type: error.name, message, exitCode: EXIT.interrupted }
  return { ...bare, type: 'Error', message, exitCode: EXIT.failed, trace: traceOf(error) }
}

/** The lines of a failure: what happened; then what was done about it, and what to do next. */
export function renderFailure(failure: ShownFailure, paint: Paint): string[] {
  const { type, message, hint, step, returnedBy, suppressed, workflowId, trace } = failure
  const [first, ...more] = message.split('\n')
  return [
    `${paint.bad('error')} ${type}${step === undefined ? '' : ` at ${STEP_TITLES[step]}`}: ${first}`,
    ...more.map((line) => `  ${line}`),
    ...trace.map((line) => paint.faint(line)),
    ...suppressed.map((line) => `  then ${line}`),
    ...(returnedBy === undefined || returnedBy === 'nobody' ? [] : [`  ${RETURNS[returnedBy]}`]),
    ...(hint === undefined ? [] : [`  ${hint}`]),
    ...(workflowId === undefined ? [] : [paint.faint(`  run ${workflowId}`)]),
  ]
}

const RETURNS: Readonly<Record<Exclude<ReturnedBy, 'nobody'>, string>> = {
  workflow: 'The tablet is back in service: the run returned it.',
  reconciler: 'The tablet is back in service: its agent returned it.',
  person: 'The tablet is back in service: somebody returned it by hand.',
}

function traceOf(error: unknown): string[] {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return stack.split('\n').filter((line) => line.trimStart().startsWith('at '))
}

function exitCodeOf(type: string): number {
  return isErrorType(type) ? EXIT_CODES[type] : EXIT.failed
}

function isErrorType(type: string): type is ErrorType {
  return Object.hasOwn(EXIT_CODES, type)
}

function isRunEnd(error: unknown): error is Error & RunEnd {
  return error instanceof Error && error.name === 'RunFailed' && 'workflowId' in error && 'suppressed' in error
}

function isTemporalUnavailable(error: unknown): error is Error & { readonly hint: string } {
  return error instanceof Error && error.name === 'TemporalUnavailable' && 'hint' in error
}
