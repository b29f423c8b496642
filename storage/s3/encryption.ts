import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { S3Config } from '../../model/config-storage.ts'
import { KEY_FILE_HINT, parseEncryptionKey } from '../../model/encryption-key.ts'
import { messageOf, TabletkeeperError } from '../../model/errors.ts'

/** Parameters of a request for an object that is encrypted with the customer's key. */
export interface CustomerKey {
  readonly SSECustomerAlgorithm: 'AES256'
  readonly SSECustomerKey: string
  readonly SSECustomerKeyMD5: string
}

/** What goes with requests so that the store encrypts, and gives back, as the configuration says. */
export class S3Encryption {
  readonly #config: S3Config['encryption']
  #customer: Promise<CustomerKey> | undefined

  constructor(config: S3Config['encryption']) {
    this.#config = config
  }

  /** For requests that make an object, or begin one. */
  async ofNewObject() {
    switch (this.#config?.kind) {
      case undefined:
        return {}
      case 's3':
        return { ServerSideEncryption: 'AES256' as const }
      case 'kms':
        return { ServerSideEncryption: 'aws:kms' as const, SSEKMSKeyId: this.#config.keyId }
      case 'customer':
        return await this.#customerKey(this.#config.keyFile)
    }
  }

  /** For all other requests about an object, its parts included. */
  async ofObject(): Promise<CustomerKey | Record<string, never>> {
    return this.#config?.kind === 'customer' ? await this.#customerKey(this.#config.keyFile) : {}
  }

  /** For the object that another is copied from. */
  async ofCopySource() {
    if (this.#config?.kind !== 'customer') return {}
    const key = await this.#customerKey(this.#config.keyFile)
    return {
      CopySourceSSECustomerAlgorithm: key.SSECustomerAlgorithm,
      CopySourceSSECustomerKey: key.SSECustomerKey,
      CopySourceSSECustomerKeyMD5: key.SSECustomerKeyMD5,
    }
  }

  async #customerKey(keyFile: string): Promise<CustomerKey> {
    // Who could not read it looks again: somebody may have mended the file since.
    this.#customer ??= readCustomerKey(keyFile).catch((error: unknown) => {
      this.#customer = undefined
      throw error
    })
    return await this.#customer
  }
}

/** A file of the 32 bytes, or of their base64, as Vitess's `sse_c:<file>` takes it. The key never appears in a message. */
async function readCustomerKey(keyFile: string): Promise<CustomerKey> {
  let bytes: Buffer
  try {
    bytes = await readFile(keyFile)
  } catch (cause) {
    throw new TabletkeeperError('InvalidConfig', `storage.encryption: cannot read the key: ${messageOf(cause)}`, {
      cause,
      hint: 'The file must be readable by the user that tabletkeeper runs as.',
    })
  }
  const key = parseEncryptionKey(bytes)
  if (key === undefined) {
    throw new TabletkeeperError('InvalidConfig', `storage.encryption: ${keyFile} does not hold a key`, {
      hint: KEY_FILE_HINT,
    })
  }
  return {
    SSECustomerAlgorithm: 'AES256',
    SSECustomerKey: key.toString('base64'),
    SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
  }
}
