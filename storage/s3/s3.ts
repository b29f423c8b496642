import { Readable } from 'node:stream'
import { DeleteObjectsCommand } from '@aws-sdk/client-s3'
import type { S3Config } from '../../model/config-storage.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { type AgentRights, askRights, type RightsHolder, type TellsRights } from '../agent-rights.ts'
import { BucketRepository } from '../bucket/bucket-repository.ts'
import { PartMemory } from '../bucket/part-memory.ts'
import { type Capabilities, rightTo, type TellsCapabilities } from '../capabilities.ts'
import { forAll } from '../for-all.ts'
import { assertKey, assertPrefix, assertUpload } from '../object-key.ts'
import type { ByteRange, Listing, ObjectInfo, ObjectKey, ObjectStore, PutOptions, Repository } from '../object-store.ts'
import { S3Connection } from './connection.ts'
import { listLevel, listObjects } from './listing.ts'
import { abortMultipart, listMultipartUploads } from './multipart.ts'
import { headObject, putObject } from './object.ts'
import { PartPlan } from './parts.ts'
import { PROBE_TEXT, proveRoundTrip } from './probe.ts'
import { inChargeOf } from './put-body.ts'
import { readObject } from './reader.ts'
import { rightToCreate, uploadRights } from './rights.ts'
import { rootOf } from './root.ts'
import { SEGMENTS } from './segments.ts'
import { isUploadId, newUploadId, S3Upload } from './upload.ts'
import { S3Writer } from './writer.ts'

/** For parts that are collected or on their way, of all objects together: one of 16 MiB that is collected, four sent, and one more. */
const PART_MEMORY = 96 * 1024 * 1024
/** What S3 removes in one request. */
const REMOVED_AT_ONCE = 1000
const BATCHES_AT_ONCE = 4
const AT_ONCE = 16

const PROBE = '.tabletkeeper-probe'
/** Never stored: to ask whether objects may be removed without taking the probe away from who looks at it just now. */
const NEVER_STORED = `${PROBE}-removal`

export interface S3StoreOptions {
  /** Instead of that of the configuration. */
  readonly bucket?: string
  /** Where the bucket is but one of those that a repository has. */
  readonly repository?: BucketRepository
  readonly plan?: PartPlan | undefined
}

/** Objects in a bucket of Amazon S3, or of a store that speaks its protocol. */
export class S3Store implements ObjectStore, TellsCapabilities, TellsRights {
  readonly description: string
  readonly #s3: S3Connection
  readonly #plan: PartPlan
  readonly #memory: PartMemory
  readonly #repository: BucketRepository

  constructor(config: S3Config, { bucket, repository, plan = new PartPlan(config) }: S3StoreOptions = {}) {
    this.#s3 = new S3Connection(config, bucket)
    this.description = this.#s3.description
    this.#plan = plan
    this.#memory = new PartMemory(Math.max(PART_MEMORY, 4 * plan.largest))
    this.#repository = repository ?? new BucketRepository(rootOf(this.#s3))
  }

  /** How many requests were sent so far, for measurements. */
  get requests(): number {
    return this.#s3.requests
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
      if (body instanceof Readable) return await this.#putStream(key, body, ifAbsent, signal)
      await putObject(this.#s3, body, { key, writer: newUploadId(), ifAbsent, signal })
      return body.length
    })
  }

  async get(key: ObjectKey, range?: ByteRange): Promise<Readable> {
    assertKey(key)
    const body = await readObject(this.#s3, key, range)
    if (body !== undefined) return body
    await this.#repository.assertReady(true)
    throw new TabletkeeperError('NotFound', `${this.description} has no object ${key}`)
  }

  async head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    assertKey(key)
    const found = await headObject(this.#s3, key)
    if (found === undefined) await this.#repository.assertReady(true)
    return found && { key, size: found.size, modified: found.modified }
  }

  async list(prefix: string, { delimiter }: { readonly delimiter?: '/' } = {}): Promise<Listing> {
    assertPrefix(prefix)
    const found = await (delimiter === undefined ? listObjects(this.#s3, prefix) : listLevel(this.#s3, prefix))
    // Asked last: what was not found was so while the repository was there.
    await this.#repository.assertReady(found.objects.length + found.prefixes.length === 0)
    return found
  }

  async delete(keys: readonly ObjectKey[]): Promise<void> {
    keys.forEach(assertKey)
    await this.#repository.assertReady()
    await this.#remove(keys)
  }

  async abortUploads(prefix: string): Promise<void> {
    assertPrefix(prefix)
    await this.#repository.assertReady()
    for (const hidden of ['', SEGMENTS]) {
      await forAll(await listMultipartUploads(this.#s3, hidden + prefix), AT_ONCE, (one) =>
        abortMultipart(this.#s3, one),
      )
    }
    const { objects } = await listObjects(this.#s3, SEGMENTS + prefix, { hidden: true })
    await this.#remove(objects.map(({ key }) => key))
  }

  async upload(directory: string, id = newUploadId()): Promise<S3Upload> {
    assertUpload(directory, id, isUploadId)
    await this.#repository.makeReady()
    return new S3Upload({ s3: this.#s3, memory: this.#memory, plan: this.#plan, directory, id })
  }

  localPath(key: ObjectKey): undefined {
    assertKey(key)
    return undefined
  }

  async probe(): Promise<void> {
    await this.repository()
    await proveRoundTrip(this.#s3, PROBE)
    await this.#proveConditions()
  }

  async capabilities(): Promise<Capabilities> {
    await this.probe()
    return {
      conditionalCreate: this.#s3.config.conditionalWrites ? 'enforced' : 'looked up',
      rangedReads: true,
      listing: true,
      removal: await rightTo(() => this.#remove([NEVER_STORED])),
      unfinishedUploads: await uploadRights(this.#s3, PROBE),
    }
  }

  async agentRights(holder: RightsHolder): Promise<AgentRights> {
    return await askRights(this, holder, {
      proveRoundTrip: (key) => proveRoundTrip(this.#s3, key),
      rightToCreate: (key) => rightToCreate(this.#s3, key),
      remove: (key) => this.#remove([key]),
    })
  }

  /** Ends its connections. */
  close(): void {
    this.#s3.close()
  }

  /** A store that replaces what it must not replace would lose a MANIFEST when two runs write the same backup. */
  async #proveConditions(): Promise<void> {
    if (!this.#s3.config.conditionalWrites) return
    try {
      await putObject(this.#s3, PROBE_TEXT, { key: PROBE, writer: newUploadId(), ifAbsent: true })
    } catch (error) {
      if (isError(error, 'Refused')) return
      throw error
    }
    throw new TabletkeeperError(
      'InvalidConfig',
      `${this.description} replaces objects that it was told not to replace`,
      {
        hint: 'Set storage.conditionalWrites: false: then it is asked before each write whether the object is there.',
      },
    )
  }

  /** Objects of unknown size become multipart uploads when they are larger than a part. */
  async #putStream(key: ObjectKey, body: Readable, ifAbsent: boolean, signal?: AbortSignal): Promise<number> {
    const writing = { s3: this.#s3, memory: this.#memory, plan: this.#plan, key, writer: newUploadId(), ifAbsent }
    const writer = new S3Writer(writing)
    const abort = () => writer.abort()
    signal?.addEventListener('abort', abort, { once: true })
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
      signal?.removeEventListener('abort', abort)
      await writer.discard()
    }
  }

  async #remove(keys: readonly ObjectKey[]): Promise<void> {
    const batches = Array.from({ length: Math.ceil(keys.length / REMOVED_AT_ONCE) }, (_, at) =>
      keys.slice(at * REMOVED_AT_ONCE, (at + 1) * REMOVED_AT_ONCE),
    )
    await forAll(batches, BATCHES_AT_ONCE, async (batch) => {
      const [key = ''] = batch
      const doing = {
        doing: `remove ${key}${batch.length > 1 ? ` and ${batch.length - 1} more` : ''}`,
        right: 's3:DeleteObject',
        key,
      }
      const Objects = batch.map((one) => ({ Key: this.#s3.keyOf(one) }))
      const { Errors = [] } = await this.#s3.ask(doing, (client) =>
        client.send(new DeleteObjectsCommand({ Bucket: this.#s3.bucket, Delete: { Objects, Quiet: true } })),
      )
      const [first] = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
      if (first === undefined) return
      const name = this.#s3.nameOf(first.Key ?? '')
      const failure = Object.assign(new Error(first.Message ?? ''), { name: first.Code ?? 'InternalError' })
      throw this.#s3.error(failure, { ...doing, doing: `remove ${name}`, key: name })
    })
  }
}
