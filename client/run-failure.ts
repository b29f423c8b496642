import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
} from '@temporalio/client'
import { ERROR_TYPES, type ErrorType, messageOf } from '../model/errors.ts'
import { type ReturnedBy, STEP_TITLES, type StepName } from '../model/runs.ts'
import { isVerifyResult, type VerifyResult } from '../model/verification.ts'

/** Why a run did not succeed: one of the foreseen failures, what somebody did to it, or `Error` for what nobody foresaw. */
export type RunFailureType = ErrorType | 'Cancelled' | 'Terminated' | 'TimedOut' | 'Error'

/** The end of a run that did not succeed, as the workflow told it. */
export class RunFailed extends Error {
  override readonly name = 'RunFailed'
  readonly workflowId: string
  readonly runId: string
  readonly type: RunFailureType
  readonly hint: string | undefined
  /** The step that failed. */
  readonly step: StepName | undefined
  /** Who made the tablet serve again. */
  readonly returnedBy: ReturnedBy | undefined
  /** Messages of failures that came on top, while the tablet was returned to service. */
  readonly suppressed: readonly string[]
  /** What a verification found, damage and all. */
  readonly verification: VerifyResult | undefined

  constructor(run: { readonly workflowId: string; readonly runId: string }, cause: WorkflowFailedError) {
    const failure = decisiveCause(cause)
    super(messageOfFailure(failure), { cause })
    this.workflowId = run.workflowId
    this.runId = run.runId
    this.type = typeOf(failure)
    const details = detailsOf(failure)
    this.hint = details.hint
    this.step = details.step
    this.returnedBy = details.returnedBy
    this.suppressed = details.suppressed
    this.verification = details.verification
  }

  /** The failure that `error` tells of, or undefined when it is no end of a workflow. */
  static from(run: { readonly workflowId: string; readonly runId: string }, error: unknown): RunFailed | undefined {
    return error instanceof WorkflowFailedError ? new RunFailed(run, error) : undefined
  }
}

interface FailureDetails {
  readonly hint: string | undefined
  readonly step: StepName | undefined
  readonly returnedBy: ReturnedBy | undefined
  readonly suppressed: readonly string[]
  readonly verification: VerifyResult | undefined
}

const RETURNED_BY: ReadonlySet<string> = new Set<ReturnedBy>(['workflow', 'reconciler', 'person', 'nobody'])

/** The outermost failure that says something: Temporal wraps what an activity threw. */
function decisiveCause(error: WorkflowFailedError): Error {
  let at: Error | undefined = error.cause
  while (at instanceof ActivityFailure && at.cause !== undefined) at = at.cause
  return at ?? error
}

function typeOf(failure: Error): RunFailureType {
  if (failure instanceof ApplicationFailure) return ERROR_TYPES.find((type) => type === failure.type) ?? 'Error'
  if (failure instanceof CancelledFailure) return 'Cancelled'
  if (failure instanceof TerminatedFailure) return 'Terminated'
  if (failure instanceof TimeoutFailure) return 'TimedOut'
  return 'Error'
}

function messageOfFailure(failure: Error): string {
  if (failure instanceof CancelledFailure) return 'the run was cancelled'
  if (failure instanceof TerminatedFailure) return `the run was terminated: ${failure.message}`
  return messageOf(failure)
}

function detailsOf(failure: Error): FailureDetails {
  const given: unknown =
    failure instanceof ApplicationFailure || failure instanceof CancelledFailure ? failure.details?.[0] : null
  const details: Readonly<Record<string, unknown>> = isRecord(given) ? given : {}
  const { hint, step, returnedBy, suppressed, verification } = details
  return {
    hint: typeof hint === 'string' ? hint : undefined,
    step: isStep(step) ? step : undefined,
    returnedBy: isReturnedBy(returnedBy) ? returnedBy : undefined,
    suppressed: Array.isArray(suppressed) ? suppressed.map(String) : [],
    verification: isVerifyResult(verification) ? verification : undefined,
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isStep(value: unknown): value is StepName {
  return typeof value === 'string' && Object.hasOwn(STEP_TITLES, value)
}

function isReturnedBy(value: unknown): value is ReturnedBy {
  return typeof value === 'string' && RETURNED_BY.has(value)
}
