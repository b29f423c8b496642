import { type ErrorType, TabletkeeperError } from './errors.ts'

/**
 * What stands for content that came through Temporal and was refused. It is a value and no error, because the SDK decodes content before
 * anybody is called who could handle an error: one stranger's payload would block a run for ever, or cut a list short.
 */
export interface RefusedPayload {
  readonly tabletkeeperRefused: RefusalReason
  /** Reads on after "is". */
  readonly because: string
  /** Named as in the content of a failure, so that a failure that was refused says why. */
  readonly message: string
}

export type RefusalReason = 'not encrypted' | 'unknown key' | 'altered'

const REASONS: Readonly<Record<RefusalReason, { readonly type: ErrorType; readonly hint: string }>> = {
  'not encrypted': {
    type: 'Refused',
    hint: 'Give whoever sent it the same temporal.encryptionKeyFiles; delete and create schedules that are older than the keys.',
  },
  'unknown key': {
    type: 'InvalidConfig',
    hint: 'Agents, control and clients need the same temporal.encryptionKeyFiles; a key that was replaced stays in it, behind the new one.',
  },
  altered: { type: 'Refused', hint: 'Somebody without a key writes to this namespace.' },
}

/** @param keyId which key it says it is encrypted with; anybody may have written it */
export function refusedPayload(reason: RefusalReason, keyId = ''): RefusedPayload {
  const key = /^[\w.-]{1,64}$/.test(keyId) ? `key ${keyId}` : 'a key of another format'
  const because = {
    'not encrypted':
      'not encrypted: only what is encrypted is taken through Temporal here (temporal.encryptionKeyFiles)',
    'unknown key': `encrypted with ${key}, which temporal.encryptionKeyFiles does not have`,
    altered: `said to be encrypted with ${key}, which does not open it`,
  }[reason]
  return { tabletkeeperRefused: reason, because, message: `the content is ${because}` }
}

/** The error to throw when one of `values` was refused, undefined when none was. `what` they are begins its message: `the input`. */
export function refusalAmong(values: readonly unknown[], what: string): TabletkeeperError | undefined {
  const refused = values.find(isRefused)
  if (refused === undefined) return undefined
  const { type, hint } = REASONS[refused.tabletkeeperRefused]
  return new TabletkeeperError(type, `${what} is ${refused.because}`, { hint, retryable: false })
}

function isRefused(value: unknown): value is RefusedPayload {
  if (typeof value !== 'object' || value === null) return false
  if (!('tabletkeeperRefused' in value) || !('because' in value)) return false
  const { tabletkeeperRefused: reason, because } = value
  return typeof reason === 'string' && Object.hasOwn(REASONS, reason) && typeof because === 'string'
}
