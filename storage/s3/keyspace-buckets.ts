import type { Readable } from 'node:stream'
import { CreateBucketCommand, HeadBucketCommand, ListBucketsCommand } from '@aws-sdk/client-s3'
import type { S3Config } from '../../model/config-storage.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import type { AgentRights, RightsHolder, TellsRights } from '../agent-rights.ts'
import { BucketRepository, type BucketRoot } from '../bucket/bucket-repository.ts'
import { type Capabilities, commonCapabilities, type TellsCapabilities } from '../capabilities.ts'
import { assertKey, assertPrefix } from '../object-key.ts'
import type { ByteRange, Listing, ObjectInfo, ObjectKey, ObjectStore, PutOptions, Repository } from '../object-store.ts'
import { S3Connection } from './connection.ts'
import { isDenied, named } from './errors.ts'
import { rootOf } from './root.ts'
import { S3Store } from './s3.ts'
import type { S3Upload } from './upload.ts'

/** The bucket of a keyspace, as Vitess's plugin for Ceph names it (go/vt/mysqlctl/cephbackupstorage/ceph.go). */
export function bucketOfKeyspace(keyspace: string): string {
  return keyspace.toLowerCase().replaceAll('_', '-')
}

/**
 * A bucket for each keyspace, with the same keys in it as one bucket would have: the layout of Vitess's plugin for Ceph. A bucket is made
 * when something is first written to its keyspace. All are one repository, whose marker is in the bucket that was written to first.
 */
export class KeyspaceBuckets implements ObjectStore, TellsCapabilities, TellsRights {
  readonly description: string
  readonly #config: S3Config
  /** Of no bucket: to ask for buckets. */
  readonly #s3: S3Connection
  readonly #repository: BucketRepository
  readonly #stores = new Map<string, S3Store>()
  readonly #connections = new Map<string, S3Connection>()
  /** Buckets that were there. */
  readonly #seen = new Set<string>()
  /** The bucket that is written to just now: it takes the marker of a new repository. */
  #written = ''

  constructor(config: S3Config) {
    this.#config = config
    this.#s3 = new S3Connection(config, '')
    this.description = `${config.kind}:${config.endpoint ?? ''} (a bucket for each keyspace)`
    this.#repository = new BucketRepository(this.#root())
  }

  async repository(): Promise<Repository> {
    return await this.#repository.look()
  }

  async put(key: ObjectKey, body: Buffer | Readable, options: PutOptions = {}): Promise<number> {
    try {
      assertKey(key)
      options.signal?.throwIfAborted()
      await this.#makeBucket(bucketOf(key))
    } catch (error) {
      if (!Buffer.isBuffer(body)) body.on('error', () => {}).destroy()
      throw error
    }
    return await this.#storeOf(bucketOf(key)).put(key, body, options)
  }

  async get(key: ObjectKey, range?: ByteRange): Promise<Readable> {
    assertKey(key)
    if (await this.#hasBucket(bucketOf(key))) return await this.#storeOf(bucketOf(key)).get(key, range)
    await this.#repository.assertReady(true)
    throw new TabletkeeperError('NotFound', `${this.description} has no object ${key}`)
  }

  async head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    assertKey(key)
    if (await this.#hasBucket(bucketOf(key))) return await this.#storeOf(bucketOf(key)).head(key)
    await this.#repository.assertReady(true)
    return undefined
  }

  async list(prefix: string, options: { readonly delimiter?: '/' } = {}): Promise<Listing> {
    assertPrefix(prefix)
    const listings = await Promise.all(
      (await this.#bucketsOf(prefix)).map(async (bucket) => {
        const { objects, prefixes } = await this.#storeOf(bucket).list(prefix, options)
        return {
          objects: objects.filter(({ key }) => bucketOf(key) === bucket),
          prefixes: prefixes.filter((one) => bucketOf(one) === bucket),
        }
      }),
    )
    await this.#repository.assertReady(listings.length === 0)
    return {
      objects: listings.flatMap(({ objects }) => objects).sort((a, b) => (a.key < b.key ? -1 : 1)),
      prefixes: listings.flatMap(({ prefixes }) => prefixes).sort(),
    }
  }

  async delete(keys: readonly ObjectKey[]): Promise<void> {
    keys.forEach(assertKey)
    await this.#repository.assertReady()
    for (const [bucket, inBucket] of Map.groupBy(keys, bucketOf)) {
      if (await this.#hasBucket(bucket)) await this.#storeOf(bucket).delete(inBucket)
    }
  }

  async abortUploads(prefix: string): Promise<void> {
    assertPrefix(prefix)
    await this.#repository.assertReady()
    for (const bucket of await this.#bucketsOf(prefix)) await this.#storeOf(bucket).abortUploads(prefix)
  }

  async upload(directory: string, id?: string): Promise<S3Upload> {
    assertKey(`${directory}0`)
    await this.#makeBucket(bucketOf(directory))
    return await this.#storeOf(bucketOf(directory)).upload(directory, id)
  }

  localPath(key: ObjectKey): undefined {
    assertKey(key)
    return undefined
  }

  async probe(): Promise<void> {
    await this.repository()
    // Which keyspaces there will be nobody knows: what is there is tried.
    for (const bucket of await this.#ownBuckets()) await this.#storeOf(bucket).probe()
  }

  /** What all buckets of keyspaces have; undefined while there is none. */
  async capabilities(): Promise<Capabilities | undefined> {
    await this.repository()
    const all = []
    for (const bucket of await this.#ownBuckets()) all.push(await this.#storeOf(bucket).capabilities())
    return commonCapabilities(all)
  }

  /** In the bucket of its keyspace; undefined while there is none. */
  async agentRights(holder: RightsHolder): Promise<AgentRights | undefined> {
    const bucket = bucketOf(holder.shard)
    return (await this.#hasBucket(bucket)) ? await this.#storeOf(bucket).agentRights(holder) : undefined
  }

  close(): void {
    for (const one of [this.#s3, ...this.#stores.values(), ...this.#connections.values()]) one.close()
  }

  #root(): BucketRoot {
    return {
      description: this.description,
      read: async (name) => {
        for (const bucket of await this.#listBuckets()) {
          const text = await readable(() => rootOf(this.#connectionOf(bucket)).read(name))
          if (text !== undefined) return text
        }
        return undefined
      },
      writeNew: (name, text) => rootOf(this.#connectionOf(this.#written)).writeNew(name, text),
      level: async (prefix) => {
        const prefixes: string[] = []
        const buckets = prefix === '' ? await this.#listBuckets() : [bucketOf(prefix)]
        for (const bucket of buckets) {
          const level = await readable(() => rootOf(this.#connectionOf(bucket)).level(prefix))
          prefixes.push(...(level?.prefixes ?? []).filter((one) => bucketOf(one) === bucket))
        }
        return { objects: [], prefixes }
      },
    }
  }

  /** Those that hold what starts with the prefix, if anything does. */
  async #bucketsOf(prefix: string): Promise<readonly string[]> {
    if (!prefix.includes('/')) return await this.#ownBuckets()
    return (await this.#hasBucket(bucketOf(prefix))) ? [bucketOf(prefix)] : []
  }

  /** Buckets that hold a keyspace; those of others are left alone. */
  async #ownBuckets(): Promise<readonly string[]> {
    const own = []
    for (const bucket of await this.#listBuckets()) {
      const level = await readable(() => rootOf(this.#connectionOf(bucket)).level(''))
      if (level?.prefixes.some((prefix) => bucketOf(prefix) === bucket)) own.push(bucket)
    }
    return own
  }

  async #listBuckets(): Promise<readonly string[]> {
    const doing = { doing: 'list buckets', right: 's3:ListAllMyBuckets' }
    const { Buckets = [] } = await this.#s3.ask(doing, (client) => client.send(new ListBucketsCommand({})))
    return Buckets.flatMap(({ Name }) => Name ?? []).sort()
  }

  async #hasBucket(bucket: string): Promise<boolean> {
    if (this.#seen.has(bucket)) return true
    const doing = { doing: `look for the bucket ${bucket}`, right: 's3:ListBucket' }
    const found = await this.#s3.find(doing, (client) => client.send(new HeadBucketCommand({ Bucket: bucket })))
    if (found !== undefined) this.#seen.add(bucket)
    return found !== undefined
  }

  async #makeBucket(bucket: string): Promise<void> {
    if (!(await this.#hasBucket(bucket))) {
      try {
        await this.#s3.try((client) => client.send(new CreateBucketCommand({ Bucket: bucket })))
      } catch (error) {
        // Another host was faster.
        if (!named(error, 'BucketAlreadyOwnedByYou')) {
          throw this.#s3.error(error, { doing: `create the bucket ${bucket}`, right: 's3:CreateBucket' })
        }
      }
    }
    this.#written = bucket
  }

  #storeOf(bucket: string): S3Store {
    const store = this.#stores.get(bucket) ?? new S3Store(this.#config, { bucket, repository: this.#repository })
    this.#stores.set(bucket, store)
    return store
  }

  #connectionOf(bucket: string): S3Connection {
    const connection = this.#connections.get(bucket) ?? new S3Connection(this.#config, bucket)
    this.#connections.set(bucket, connection)
    return connection
  }
}

/** @param key or a prefix that names its keyspace */
function bucketOf(key: string): string {
  return bucketOfKeyspace(key.slice(0, key.indexOf('/') < 0 ? undefined : key.indexOf('/')))
}

/** What can be seen of buckets that may be somebody else's, or gone meanwhile. */
async function readable<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    if (isError(error, 'StorageDenied', 'NotFound', 'InvalidConfig') || isDenied(error)) return undefined
    throw error
  }
}
