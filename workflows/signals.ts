import { defaultPayloadConverter, type RawValue, rawValueTypeInfo } from '@temporalio/common'
import { defineSignal } from '@temporalio/workflow'

/**
 * Signals come from anybody, and the SDK decodes their content before a handler is called: one that cannot be decoded would block the run
 * for ever, with its tablet out of service. So it is left as it came.
 */
const AS_IT_COMES = { typeInfo: { inputTypes: [rawValueTypeInfo] } }

/** How far a step is that copies: a `ProgressReport`, by its agent. Anything else is ignored. */
export const progressSignal = defineSignal<[RawValue?]>('progress', AS_IT_COMES)

/**
 * The host of the tablet is gone for good: end the run that waits for it. The lease dies with the host. It has to say so
 * (`isHostLost`), so that one that a codec refused does nothing.
 */
export const abandonSignal = defineSignal<[RawValue?]>('abandon', AS_IT_COMES)

/** Whether this is what `abandon` holds. */
export function isHostLost(content: unknown): boolean {
  return typeof content === 'object' && content !== null && 'reason' in content && content.reason === 'host-lost'
}

/** What a signal holds; undefined when that cannot be told. */
export function contentOf(raw: RawValue | undefined): unknown {
  try {
    return raw === undefined ? undefined : defaultPayloadConverter.fromPayload(raw.payload)
  } catch {
    return undefined
  }
}
