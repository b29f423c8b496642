import type { Payload, PayloadCodec } from '@temporalio/common'

/** All text in an answer of Temporal: keys, strings, and bytes as they are; with a codec, what is encrypted as it was before. */
export async function textIn(value: unknown, codec?: PayloadCodec): Promise<string> {
  if (typeof value === 'string') return `${value}\n`
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('utf8')}\n`
  if (typeof value !== 'object' || value === null) return ''
  if (codec !== undefined && isPayload(value)) return await textIn(await codec.decode([value]))
  const texts = Object.entries(value).map(async ([key, inner]) => `${key} ${await textIn(inner, codec)}`)
  return (await Promise.all(texts)).join('')
}

function isPayload(value: unknown): value is Payload {
  return typeof value === 'object' && value !== null && 'metadata' in value && 'data' in value
}
