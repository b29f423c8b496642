import { randomBytes } from 'node:crypto'
import { defaultPayloadConverter, type Payload } from '@temporalio/common'
import { describe, expect, test } from 'vitest'
import { refusalAmong } from '../../model/refused-payload.ts'
import { EncryptingCodec, type EncryptionKey, encryptionKey } from '../../workers/payload-codec.ts'

const NEW = encryptionKey(randomBytes(32))
const OLD = encryptionKey(randomBytes(32))
const codec = (...keys: EncryptionKey[]) => new EncryptingCodec(keys)

const VALUE = { shard: 'commerce/0', tablet: 'zone1-0000000101' }
const PLAIN = payloadOf(VALUE)

function payloadOf(value: unknown): Payload {
  const payload = defaultPayloadConverter.toPayload(value)
  if (payload === undefined) throw new Error('not a value')
  return payload
}

async function sealed(...keys: EncryptionKey[]): Promise<Payload> {
  const [payload] = await codec(...keys).encode([PLAIN])
  return payload ?? expect.fail('nothing came of it')
}

/** What a reader with these keys is given. */
async function opened(payload: Payload, ...keys: EncryptionKey[]): Promise<unknown> {
  const [decoded] = await codec(...keys).decode([payload])
  return decoded && defaultPayloadConverter.fromPayload(decoded)
}

async function refusal(payload: Payload, ...keys: EncryptionKey[]) {
  return refusalAmong([await opened(payload, ...keys)], 'it')
}

describe('content that passes through Temporal', () => {
  test('is encrypted with the first key, another way each time, and says with which', async () => {
    const [one, other] = [await sealed(NEW, OLD), await sealed(NEW, OLD)]
    expect(Buffer.from(one.data ?? []).toString('latin1')).not.toContain('commerce')
    expect(Buffer.from(one.data ?? [])).not.toEqual(Buffer.from(other.data ?? []))
    expect(Object.entries(one.metadata ?? {}).map(([key, text]) => [key, Buffer.from(text).toString()])).toEqual([
      ['encoding', 'binary/encrypted'],
      ['encryption-key-id', NEW.id],
    ])
    expect(await opened(one, NEW)).toEqual(VALUE)
    expect(await opened(one, OLD, NEW)).toEqual(VALUE)
  })

  test('may be nothing at all', async () => {
    const [payload] = await codec(NEW).encode([payloadOf(undefined)])
    expect(await opened(payload ?? PLAIN, NEW)).toBeUndefined()
  })

  test('that is not encrypted is refused by who has keys, and taken by who has none', async () => {
    expect(await refusal(PLAIN, NEW)).toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/^it is not encrypted/),
    })
    expect(await opened(PLAIN)).toEqual(VALUE)
    expect(await refusal({ metadata: null, data: null }, NEW)).toMatchObject({ type: 'Refused' })
  })

  test('that is encrypted with another key is refused, with its name', async () => {
    const expected = {
      type: 'InvalidConfig',
      message: `it is encrypted with key ${OLD.id}, which temporal.encryptionKeyFiles does not have`,
    }
    expect(await refusal(await sealed(OLD), NEW)).toMatchObject(expected)
    expect(await refusal(await sealed(OLD))).toMatchObject(expected)
    const strange = { ...(await sealed(OLD)), metadata: { ...(await sealed(OLD)).metadata } }
    strange.metadata['encryption-key-id'] = Buffer.from('\u001b[2J '.repeat(50))
    expect(await refusal(strange, NEW)).toMatchObject({
      message: expect.stringMatching(/^it is encrypted with a key of another format/),
    })
  })

  test('that was altered or cut short is refused', async () => {
    const { metadata, data } = await sealed(NEW)
    const bytes = Buffer.from(data ?? [])
    for (let at = 0; at < bytes.length; at += 1) {
      const altered = Buffer.from(bytes)
      altered.writeUInt8(255 - altered.readUInt8(at), at)
      expect(await refusal({ metadata: metadata ?? {}, data: altered }, NEW)).toMatchObject({
        type: 'Refused',
        message: `it is said to be encrypted with key ${NEW.id}, which does not open it`,
      })
      const cut = { metadata: metadata ?? {}, data: bytes.subarray(0, at) }
      expect(await refusal(cut, NEW)).toMatchObject({ type: 'Refused' })
    }
  })
})
