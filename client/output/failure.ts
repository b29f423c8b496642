import { type ErrorType, EXIT_CODES, isError, messageOf } from '../../model/errors.ts'
import { type ReturnedBy, type RunProgress, STEP_TITLES, type StepName } from '../../model/runs.ts'
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

/** Ctrl-C: says what is left of what was begun, and how to go on. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly hint: string | undefined

  constructor(left = 'nothing was changed', hint?: string) {
    super(left)
    this.hint = hint
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
  if (error instanceof Interrupted) {
    return { ...bare, type: error.name, message, hint: error.hint, exitCode: EXIT.interrupted }
  }
  return { ...bare, type: 'Error', message, exitCode: EXIT.failed, trace: traceOf(error) }
}

/** A failure as `--json` shows it, in `error` and of a run. Null is what is not known. */
export interface FailureDocument {
  readonly type: string
  readonly message: string
  readonly hint: string | null
  readonly workflowId: string | null
  readonly step: StepName | null
  readonly returnedBy: ReturnedBy | null
  readonly suppressed: readonly string[]
  readonly verification: VerifyResult | null
  readonly exitCode: number
}

/** The failure as one flat document; where in the code it happened is for people. */
export function failureDocument(failure: ShownFailure): FailureDocument {
  const { type, message, hint, workflowId, step, returnedBy, suppressed, verification, exitCode } = failure
  return {
    type,
    message,
    hint: hint ?? null,
    workflowId: workflowId ?? null,
    step: step ?? null,
    returnedBy: returnedBy ?? null,
    suppressed,
    verification: verification ?? null,
    exitCode,
  }
}

/** The same for a run that has failed and is on its way back: how that ends, nobody knows yet. */
export function openFailureDocument(
  workflowId: string,
  { type, message, step }: NonNullable<RunProgress['failure']>,
): FailureDocument {
  const unknown = { hint: null, returnedBy: null, suppressed: [], verification: null }
  return { ...unknown, type, message, workflowId, step, exitCode: exitCodeOf(type) }
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
  workflow: 'The tablet was given back by the run.',
  reconciler: 'The tablet was given back by its agent.',
  person: 'The tablet was given back by somebody, by hand.',
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
