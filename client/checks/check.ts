import type { FrequencyVerdict } from '../../model/frequency.ts'
import type { AgentRights } from '../../storage/agent-rights.ts'
import type { Capabilities } from '../../storage/capabilities.ts'
import { describeFailure } from '../output/failure.ts'

/** One finding of `tabletkeeper check`. */
export interface Check {
  readonly verdict: FrequencyVerdict['verdict']
  /** What it is about: `temporal`, `storage`, `agents`, `rights`, `schedules`, a tablet, a shard. */
  readonly subject: string
  readonly message: string
  readonly hint?: string | undefined
  /** Of `storage`, where it tells them: for programs, which need not read the message. */
  readonly capabilities?: Capabilities
  /** Of `rights`: those of the agents that the message names, in storage. */
  readonly rights?: AgentRights
}

/** The finding as `--json` shows it. */
export function checkDocument({ verdict, subject, message, hint, ...more }: Check) {
  return { verdict, subject, message, hint: hint ?? null, ...more }
}

/** A check that could not be made, or that failed. */
export function failedCheck(subject: string, error: unknown): Check {
  const { message, hint } = describeFailure(error)
  return { verdict: 'FAILED', subject, message, hint }
}
