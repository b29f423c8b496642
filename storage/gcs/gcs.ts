import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { GcsConfig } from '../../model/config-storage.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { type AgentRights, askRights, type RightsHolder, type TellsRights } from '../agent-rights.ts'
import { BucketRepository } from '../bucket/bucket-repository.ts'
import { PartMemory } from '../bucket/part-memory.ts'
import { type Capabilities, isRefused, type Right, rightTo, type TellsCapabilities } from '../capabilities.ts'
import { isWriteId, newWriteId } from '../file/names.ts'
import { forAll } from '../for-all.ts'
import { assertKey, assertPrefix, assertUpload } from '../object-key.ts'
import type { ByteRange, Listing, ObjectInfo, ObjectKey, ObjectStore, PutOptions, Repository } from '../object-store.ts'
import { inChargeOf } from '../s3/put-body.ts'
import { GcsConnection, type GcsOptions } from './connection.ts'
import { listObjects } from './listing.ts'
import { assertMayCreate, describeObject, type GcsObject, putObject, removeObject } from './object.ts'
import { readObject } from './reader.ts'
import { dropRecords, finalKeyOf, GcsUpload } from './upload.ts'
import { GcsWriter } from './writer.ts'

/** For chunks that are collected or on their way, of all objects together. */
const CHUNK_MEMORY = 64 * 1024 * 1024
const AT_ONCE = 32

const PROBE = '.tabletkeeper-probe'
const PROBE_TEXT = Buffer.from('tabletkeeper was here\n')
/** Another process may remove the probe between the steps of a proof. */
const PROOFS = 5

/** Objects in a bucket of Google Cloud Storage. */
export class GcsStore implements ObjectStore, TellsCapabilities, TellsRights {
  readonly description: string
  readonly #gcs: GcsConnection
  readonly #memory = new PartMemory(CHUNK_MEMORY)
  readonly #repository: BucketRepository

  constructor(config: GcsConfig, options: GcsOptions = {}) {
    const gcs = new GcsConnection(config, options)
    this.#gcs = gcs
    this.description = gcs.description
    this.#repository = new BucketRepository({
      description: gcs.description,
      read: async (key) => {
        const body = await readObject(gcs, key)
        return body && (await buffer(body)).toString('utf8')
      },
      writeNew: async (key, text) => {
        try {
          await putObject(gcs, Buffer.from(text), { key, writer: newWriteId(), ifAbsent: true })
        } catch (error) {
          if (!isError(error, 'Refused')) throw error
        }
      },
      level: async (prefix) => listingOf(await listObjects(gcs, prefix, { delimiter: '/' })),
    })
  }

  async repository(): Promise<Repository> {
    return await this.#repository.look()
  }

  async put(key: ObjectKey, body: Buffer | Readable, options: PutOptions = {}): Promise<number> {
    const { signal, ifAbsent = false } = options
    return await inChargeOf(body, signal, async () => {
      assertKey(key)
      signal?.throwIfAborted()
      await this.#repository.makeReady()
      const object = { key, writer: newWriteId(), ifAbsent, signal }
      if (body instanceof Readable) return await this.#putStream(object, body)
      await putObject(this.#gcs, body, object)
      return body.length
    })
  }

  async get(key: ObjectKey, range?: ByteRange): Promise<Readable> {
    assertKey(key)
    const body = await readObject(this.#gcs, key, range)
    if (body !== undefined) return body
    await this.#repository.assertReady(true)
    throw new TabletkeeperError('NotFound', `${this.description} has no object ${key}`)
  }

  async head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    assertKey(key)
    const found = await describeObject(this.#gcs, key)
    if (found === undefined) await this.#repository.assertReady(true)
    return found && infoOf(key, found)
  }

  async list(prefix: string, options: { readonly delimiter?: '/' } = {}): Promise<Listing> {
    assertPrefix(prefix)
    const found = listingOf(await listObjects(this.#gcs, prefix, options))
    // Asked last: what was not found was so while the repository was there.
    await this.#repository.assertReady(found.objects.length + found.prefixes.length === 0)
    return found
  }

  async delete(keys: readonly ObjectKey[]): Promise<void> {
    keys.forEach(assertKey)
    await this.#repository.assertReady()
    await forAll(keys, AT_ONCE, (key) => removeObject(this.#gcs, key))
  }

  /** Resumable uploads that nobody has recorded yet are not found: no listing has them, and they end by themselves after a week. */
  async abortUploads(prefix: string): Promise<void> {
    assertPrefix(prefix)
    await this.#repository.assertReady()
    const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const below = await listObjects(this.#gcs, directory, { hidden: true })
    await dropRecords(this.#gcs, below, (key) => finalKeyOf(key).startsWith(prefix))
  }

  async upload(directory: string, id = newWriteId()): Promise<GcsUpload> {
    assertUpload(directory, id, isWriteId)
    await this.#repository.makeReady()
    return new GcsUpload({ gcs: this.#gcs, memory: this.#memory, directory, id })
  }

  localPath(key: ObjectKey): undefined {
    assertKey(key)
    return undefined
  }

  /** The probe object stays, and is the next one's: who removed it would take it from others that look at it just now. */
  async probe(): Promise<void> {
    await this.#proveRoundTrip(PROBE)
  }

  async capabilities(): Promise<Capabilities> {
    await this.#proveRoundTrip(PROBE)
    const isEnforced = await untilTrue(() => this.#isKept(PROBE))
    return {
      conditionalCreate: isEnforced ? 'enforced' : 'ignored',
      rangedReads: true,
      listing: true,
      removal: await this.#removeProbe(),
      unfinishedUploads: null,
    }
  }

  async agentRights(holder: RightsHolder): Promise<AgentRights> {
    return await askRights(this, holder, {
      proveRoundTrip: (key) => this.#proveRoundTrip(key),
      rightToCreate: (key) => rightTo(() => assertMayCreate(this.#gcs, key)),
      remove: (key) => removeObject(this.#gcs, key),
    })
  }

  /** Ends its connections. */
  close(): void {
    this.#gcs.close()
  }

  async #proveRoundTrip(key: string): Promise<void> {
    await this.repository()
    if (await untilTrue(() => this.#givesBack(key))) return
    throw new TabletkeeperError(
      'StorageUnavailable',
      `${this.description} does not give back what was just written to it`,
    )
  }

  async #givesBack(key: string): Promise<boolean> {
    await this.#isKept(key)
    const body = await readObject(this.#gcs, key, { start: 1, end: PROBE_TEXT.length - 1 })
    const { objects } = await listObjects(this.#gcs, key, { hidden: true })
    const isListed = objects.get(key)?.size === PROBE_TEXT.length
    return body !== undefined && PROBE_TEXT.subarray(1).equals(await buffer(body)) && isListed
  }

  /** Stores a probe if it is not there. */
  async #isKept(key: string): Promise<boolean> {
    return await isRefused(() => putObject(this.#gcs, PROBE_TEXT, { key, writer: newWriteId(), ifAbsent: true }))
  }

  async #removeProbe(): Promise<Right> {
    try {
      await removeObject(this.#gcs, PROBE)
      return 'allowed'
    } catch (error) {
      if (isError(error, 'StorageDenied')) return 'denied'
      throw error
    }
  }

  async #putStream(object: ConstructorParameters<typeof GcsWriter>[0]['object'], body: Readable): Promise<number> {
    const writer = new GcsWriter({ gcs: this.#gcs, memory: this.#memory, object })
    try {
      let size = 0
      for await (const chunk of body) {
        const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
        await writer.write(bytes)
        size += bytes.length
      }
      await writer.finish()
      return size
    } finally {
      await writer.discard()
    }
  }
}

async function untilTrue(look: () => Promise<boolean>): Promise<boolean> {
  for (let left = PROOFS; left > 0; left--) if (await look()) return true
  return false
}

function listingOf({ objects, prefixes }: Awaited<ReturnType<typeof listObjects>>): Listing {
  return { objects: [...objects].map(([key, object]) => infoOf(key, object)), prefixes }
}

function infoOf(key: ObjectKey, { size, updated }: GcsObject): ObjectInfo {
  return { key, size, modified: updated }
}
