import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { Payload, PayloadCodec } from '@temporalio/common'
import proto from '@temporalio/proto'
import { refusedPayload } from '../model/refused-payload.ts'

/** A key of AES-256, and the name by which payloads say that it opens them. */
export interface EncryptionKey {
  readonly id: string
  readonly secret: KeyObject
}

/** @param bytes 32 of them */
export function encryptionKey(bytes: Buffer): EncryptionKey {
  const id = createHash('sha256').update('tabletkeeper key id').update(bytes).digest('hex').slice(0, 16)
  return { id, secret: createSecretKey(bytes) }
}

const CIPHER = 'aes-256-gcm'
const NONCE = 12
const TAG = 16
const ENCODING = 'binary/encrypted'
const KEY_ID = 'encryption-key-id'

const { Payload: WirePayload } = proto.temporal.api.common.v1

/**
 * Encrypts every payload with the first of some keys, and refuses what none of them has encrypted; without keys it refuses what is
 * encrypted. What was refused becomes a `RefusedPayload`. The format is that of Temporal's own samples, whose codec servers can be used:
 * nonce, ciphertext and tag of the whole payload in AES-256-GCM.
 */
export class EncryptingCodec implements PayloadCodec {
  readonly #keys: ReadonlyMap<string, EncryptionKey>
  readonly #first: EncryptionKey | undefined

  constructor(keys: readonly EncryptionKey[]) {
    this.#keys = new Map(keys.map((key) => [key.id, key]))
    this.#first = keys[0]
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    const key = this.#first
    return key === undefined ? payloads : payloads.map((payload) => sealed(payload, key))
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.#opened(payload))
  }

  #opened(payload: Payload): Payload {
    if (textOf(payload.metadata?.['encoding']) !== ENCODING)
      return this.#first === undefined ? payload : standIn(refusedPayload('not encrypted'))
    const id = textOf(payload.metadata?.[KEY_ID])
    const key = this.#keys.get(id)
    if (key === undefined) return standIn(refusedPayload('unknown key', id))
    try {
      return opened(payload.data ?? new Uint8Array(), key)
    } catch {
      return standIn(refusedPayload('altered', id))
    }
  }
}

function sealed(payload: Payload, { id, secret }: EncryptionKey): Payload {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv(CIPHER, secret, nonce)
  const content = cipher.update(WirePayload.encode(payload).finish())
  const data = Buffer.concat([nonce, content, cipher.final(), cipher.getAuthTag()])
  return { metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) }, data }
}

function opened(data: Uint8Array, { secret }: EncryptionKey): Payload {
  const end = data.length - TAG
  const decipher = createDecipheriv(CIPHER, secret, data.subarray(0, NONCE), { authTagLength: TAG })
  decipher.setAuthTag(data.subarray(end))
  return WirePayload.decode(Buffer.concat([decipher.update(data.subarray(NONCE, end)), decipher.final()]))
}

function standIn(value: object): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(value)) }
}

function textOf(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('latin1')
}
