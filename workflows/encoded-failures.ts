import { DefaultFailureConverter } from '@temporalio/common'

/** Named as the SDK looks for it. Messages and stack traces become payloads, which a codec encrypts. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true })
