import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow'
import type { TabletAlias } from '../model/alias.ts'
import { ERROR_TYPES, type ErrorType } from '../model/errors.ts'
import type { ReturnedBy, StepName } from '../model/runs.ts'
import { DamagedBackup, isVerifyResult, type VerifyResult } from '../model/verification.ts'

/** What the failure of a run says beside its message: `details[0]` of the ApplicationFailure. */
export interface FailureDetails {
  readonly step: StepName | null
  readonly hint?: string
  readonly returnedBy: ReturnedBy
  /** What failed after the cause. */
  readonly suppressed: readonly string[]
  /** What a verification found that is damaged. */
  readonly verification?: VerifyResult
}

/** The cause of a failed step, without Temporal's wrapping. */
export interface Cause {
  readonly type: ErrorType | 'Error'
  readonly message: string
  readonly hint?: string
  readonly verification?: VerifyResult
}

/** Damage that a verification found, as its run fails with it. */
export function damageFailure(verification: VerifyResult): ApplicationFailure {
  const { type, message, hint } = new DamagedBackup(verification)
  return ApplicationFailure.nonRetryable(message, type, { hint, verification })
}

/** Reads the cause out of whatever an activity call threw; without a tablet it was control that was called. */
export function causeOf(error: unknown, tablet: TabletAlias | null): Cause {
  const inner = error instanceof ActivityFailure ? error.cause : error
  if (inner instanceof TimeoutFailure && inner.timeoutType === 'SCHEDULE_TO_START') {
    return {
      type: 'NoAgent',
      message: `no agent polls the queue of ${tablet}`,
      hint: "Nothing was changed. Start its agent on the tablet's host: systemctl start tabletkeeper-agent.",
    }
  }
  if (inner instanceof TimeoutFailure) {
    return {
      type: 'NoAgent',
      message: `${tablet === null ? 'tabletkeeper control' : `the agent of ${tablet}`} died or froze in mid-step (${inner.timeoutType} timeout)`,
    }
  }
  if (inner instanceof ApplicationFailure) {
    const [details] = inner.details ?? []
    const type = ERROR_TYPES.find((known) => known === inner.type) ?? 'Error'
    return { type, message: inner.message, ...hintIn(details), ...verificationIn(details) }
  }
  return { type: 'Error', message: inner instanceof Error ? inner.message : String(inner) }
}

export function hintOf({ hint }: Cause): { readonly hint?: string } {
  return hint === undefined ? {} : { hint }
}

/** The failure that a run ends with. A cancelled run stays a cancelled one. */
export function runFailure(error: unknown, cause: Cause, details: FailureDetails): unknown {
  if (isCancellation(error)) return error
  return ApplicationFailure.create({
    message: cause.message,
    type: cause.type,
    nonRetryable: true,
    details: [{ ...details, ...verificationIn(cause) }],
    ...(error instanceof Error ? { cause: error } : {}),
  })
}

/** What a run says that ended before it took the tablet. */
export function withNothingChanged(cause: Cause): Cause {
  const { hint = '' } = cause
  return hint.startsWith(NOTHING) ? cause : { ...cause, hint: `${NOTHING} ${hint}`.trimEnd() }
}

const NOTHING = 'Nothing was changed.'

function hintIn(details: unknown): { readonly hint?: string } {
  if (typeof details !== 'object' || details === null || !('hint' in details)) return {}
  return typeof details.hint === 'string' ? { hint: details.hint } : {}
}

function verificationIn(details: unknown): Pick<FailureDetails, 'verification'> {
  if (typeof details !== 'object' || details === null || !('verification' in details)) return {}
  return isVerifyResult(details.verification) ? { verification: details.verification } : {}
}
