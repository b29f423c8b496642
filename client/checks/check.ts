import type { FrequencyVerdict } from '../../model/frequency.ts'
import type { Capabilities } from '../../storage/capabilities.ts'
import { describeFailure } from '../output/failure.ts'

/** One finding of `tabletkeeper check`. */
export interface Check {
  readonly verdict: FrequencyVerdict['verdict']
  /** What it is about: `temporal`, `storage`, `agents`, a tablet, a shard. */
  readonly subject: string
  readonly message: string
  readonly hint?: string | undefined
  /** Of `storage`, where it tells them: for programs, which need not read the message. */
  readonly capabilities?: Capabilities
}

/** A check that could not be made, or that failed. */
export function failedCheck(subject: string, error: unknown): Check {
  const { message, hint } = describeFailure(error)
  return { verdict: 'FAILED', subject, message, hint }
}
