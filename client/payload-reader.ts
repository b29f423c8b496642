import type { Client, WorkflowExecutionDescription } from '@temporalio/client'
import type { Payload } from '@temporalio/common'

type RawActivity = NonNullable<NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number]>
type RawFailure = NonNullable<RawActivity['lastFailure']>

/** Reads content in answers of the server that the SDK leaves as it came. */
export class PayloadReader {
  readonly #converter: Client['options']['loadedDataConverter']

  constructor(client: Client) {
    this.#converter = client.options.loadedDataConverter
  }

  /** The value, or what stands for it when it was refused; undefined when there is none or it cannot be read. */
  async valueOf(payload: Payload | null | undefined): Promise<unknown> {
    if (!payload) return undefined
    const { payloadCodecs, payloadConverter } = this.#converter
    let payloads = [payload]
    try {
      for (const codec of payloadCodecs.toReversed()) payloads = await codec.decode(payloads)
      return payloads[0] && payloadConverter.fromPayload(payloads[0])
    } catch {
      return undefined
    }
  }

  /** The message of a failure, which may be among what is encrypted. */
  async messageOf({ message, encodedAttributes }: RawFailure): Promise<string> {
    const encoded = await this.valueOf(encodedAttributes)
    const isTold = typeof encoded === 'object' && encoded !== null && 'message' in encoded
    return isTold && typeof encoded.message === 'string' ? encoded.message : (message ?? '')
  }
}
