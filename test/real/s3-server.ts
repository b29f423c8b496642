import { randomBytes } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import type { S3Config } from '../../model/config-storage.ts'
import { type CephCluster, startCeph } from '../../sandbox/ceph-cluster.ts'
import { type S3Keys, startVersitygw } from '../../sandbox/versitygw.ts'
import type { PartPlan } from '../../storage/s3/parts.ts'
import { S3Store } from '../../storage/s3/s3.ts'

/** A store of Amazon S3's protocol, and who may ask it. */
export interface S3Server {
  readonly kind: 's3' | 'ceph'
  readonly endpoint: string
  readonly keys: S3Keys
  /** Somebody who may do what the policy of a bucket allows. */
  addUser(): Promise<S3Keys>
}

export interface S3UnderTest {
  readonly server: S3Server
  /** As who may do everything, without anything of ours in between. */
  readonly admin: S3Client
}

export interface CephUnderTest extends S3UnderTest {
  readonly started: CephCluster
}

/** One versitygw for the tests of a file; the process has its credentials, where the SDK looks for them. */
export function useVersitygw(): () => S3UnderTest {
  return useServer('s3', startVersitygw)
}

/** The same with the gateway of a Ceph cluster. */
export function useCeph(): () => CephUnderTest {
  return useServer('ceph', () => startCeph({ bytes: 4 * 2 ** 30 }))
}

function useServer<Started extends Omit<S3Server, 'kind'> & AsyncDisposable>(
  kind: S3Server['kind'],
  start: () => Promise<Started>,
): () => S3UnderTest & { readonly started: Started } {
  let running: (S3UnderTest & { readonly started: Started }) | undefined
  let dispose = async () => {}
  beforeAll(async () => {
    const server = await start()
    dispose = async () => server[Symbol.asyncDispose]()
    const { endpoint, keys } = server
    useKeys(keys)
    const admin = new S3Client({ endpoint, region: 'us-east-1', credentials: keys, forcePathStyle: true })
    await admin.send(new CreateBucketCommand({ Bucket: BUCKET }))
    running = { server: { kind, endpoint, keys, addUser: () => server.addUser() }, admin, started: server }
  }, 600_000)
  afterAll(async () => {
    running?.admin.destroy()
    await dispose()
  })
  return () => {
    if (running === undefined) throw new Error('the server has not been started')
    return running
  }
}

export const BUCKET = 'backups'

/** From here on the process asks with these. */
export function useKeys(keys: S3Keys): void {
  process.env['AWS_ACCESS_KEY_ID'] = keys.accessKeyId
  process.env['AWS_SECRET_ACCESS_KEY'] = keys.secretAccessKey
}

/** A configuration of storage, as the file would have it. */
export function s3Config({ kind, endpoint }: S3Server, settings = ''): S3Config {
  const storage = `{ kind: ${kind}, bucket: ${BUCKET}, endpoint: "${endpoint}", pathStyle: true, ${settings} }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  const config = parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage
  if (config.kind !== 's3' && config.kind !== 'ceph') throw new Error(`${config.kind} is another kind`)
  return config
}

/** A root of its own, with a store for each process that looks at it. */
export function newRoot(server: S3Server, settings = '', plan?: PartPlan): { readonly root: string; open(): S3Store } {
  const root = randomBytes(6).toString('hex')
  const config = s3Config(server, `root: "${root}", ${settings}`)
  return {
    root,
    open: () => {
      const store = new S3Store(config, { plan })
      onTestFinished(() => store.close())
      return store
    },
  }
}

/** Removes a bucket and all that is in it. */
export async function emptyBucket(admin: S3Client, bucket: string): Promise<void> {
  const { Contents = [] } = await admin.send(new ListObjectsV2Command({ Bucket: bucket }))
  for (const { Key } of Contents) await admin.send(new DeleteObjectCommand({ Bucket: bucket, Key }))
  const { Uploads = [] } = await admin.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  for (const { Key, UploadId } of Uploads) {
    await admin.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }))
  }
  await admin.send(new DeleteBucketCommand({ Bucket: bucket }))
}
