import { readFile } from 'node:fs/promises'
import type { DataConverter } from '@temporalio/common'
import type { TemporalConfig } from '../model/config-temporal.ts'
import { KEY_FILE_HINT, parseEncryptionKey } from '../model/encryption-key.ts'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { EncryptingCodec, type EncryptionKey, encryptionKey } from './payload-codec.ts'
import { ENCODED_FAILURES } from './workflow-code.ts'

/** How workers and clients write what passes through Temporal, and read it. */
export interface PayloadConversion {
  readonly dataConverter: DataConverter
  readonly isEncrypted: boolean
}

/**
 * Reads the keys of the configuration. They appear in no message.
 * @throws InvalidConfig when a file cannot be read or holds no key
 */
export async function payloadConversion({ encryptionKeyFiles }: TemporalConfig): Promise<PayloadConversion> {
  const keys = await Promise.all(encryptionKeyFiles.map(readKey))
  const isEncrypted = keys.length > 0
  const payloadCodecs = [new EncryptingCodec(keys)]
  // Messages and stack traces of failures are payloads only on demand.
  const dataConverter = isEncrypted ? { payloadCodecs, failureConverterPath: ENCODED_FAILURES } : { payloadCodecs }
  return { dataConverter, isEncrypted }
}

async function readKey(file: string): Promise<EncryptionKey> {
  const content = await readFile(file).catch((cause: unknown) => {
    throw new TabletkeeperError(
      'InvalidConfig',
      `temporal.encryptionKeyFiles: cannot read a key: ${messageOf(cause)}`,
      {
        cause,
        hint: 'The file must be readable by the user that tabletkeeper runs as.',
      },
    )
  })
  const bytes = parseEncryptionKey(content)
  if (bytes !== undefined) return encryptionKey(bytes)
  throw new TabletkeeperError('InvalidConfig', `temporal.encryptionKeyFiles: ${file} does not hold a key`, {
    hint: KEY_FILE_HINT,
  })
}
