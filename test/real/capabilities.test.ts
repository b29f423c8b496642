import { ListObjectsV2Command, PutBucketPolicyCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { capabilitiesOf } from '../../storage/capabilities.ts'
import { initializeRepository } from '../../storage/initialize.ts'
import { KeyspaceBuckets } from '../../storage/s3/keyspace-buckets.ts'
import { ofType } from '../storage/store-under-test.ts'
import { startProxy } from './gcs-proxy.ts'
import { newRoot as newGcsRoot, useFakeGcs } from './gcs-server.ts'
import { agentPolicy } from './s3-policy.ts'
import { BUCKET, emptyBucket, newRoot, useKeys, useVersitygw } from './s3-server.ts'

const SHARD = parseShardName('commerce/0')
const ALL = { conditionalCreate: 'enforced', rangedReads: true, listing: true, removal: 'allowed' } as const
const UPLOADS = { listing: 'allowed', removal: 'allowed' } as const

const s3 = useVersitygw()
const gcs = useFakeGcs()

/** Asks as somebody else until the running test ends. */
async function asUser(): Promise<string> {
  const keys = await s3().server.addUser()
  useKeys(keys)
  onTestFinished(() => useKeys(s3().server.keys))
  return keys.accessKeyId
}

async function setPolicy(Policy: string): Promise<void> {
  await s3().admin.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }))
}

async function objectsBelow(root: string): Promise<readonly string[]> {
  const { Contents = [] } = await s3().admin.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${root}/` }))
  return Contents.map(({ Key = '' }) => Key.slice(root.length + 1))
}

describe('what an S3 store can do', () => {
  test('is everything for who may do everything; the probe alone is left, and no repository', async () => {
    const { open, root } = newRoot(s3().server)
    expect(await capabilitiesOf(open())).toEqual({ ...ALL, unfinishedUploads: UPLOADS })
    expect(await capabilitiesOf(open())).toEqual({ ...ALL, unfinishedUploads: UPLOADS })
    expect(await objectsBelow(root)).toEqual(['.tabletkeeper-probe'])
    expect(await open().repository()).toEqual({ state: 'new' })
  })

  test('is proven by many agents at the same moment', async () => {
    const { open, root } = newRoot(s3().server)
    const agents = Array.from({ length: 8 }, open)
    for (let round = 0; round < 5; round++) await Promise.all(agents.map((agent) => agent.probe()))
    expect(await objectsBelow(root)).toEqual(['.tabletkeeper-probe'])
  })

  test('is not to remove, for an agent with the policy that the documentation shows; for control it is', async () => {
    const { open, root } = newRoot(s3().server)
    await open().put('other/0/x', Buffer.from('x'))
    const control = await s3().server.addUser()
    const agent = await asUser()
    await setPolicy(await agentPolicy({ agent, control: control.accessKeyId, bucket: BUCKET, root }))
    expect(await capabilitiesOf(open())).toEqual({ ...ALL, removal: 'denied', unfinishedUploads: UPLOADS })
    useKeys(control)
    expect(await capabilitiesOf(open())).toEqual({ ...ALL, unfinishedUploads: UPLOADS })
  })

  test('is not to find or abort uploads, for who lacks those rights', async () => {
    const { open } = newRoot(s3().server)
    await open().put('other/0/x', Buffer.from('x'))
    const statement = {
      Effect: 'Allow',
      Principal: { AWS: [await asUser()] },
      Action: ['s3:GetObject', 's3:PutObject', 's3:ListBucket', 's3:DeleteObject'],
      Resource: [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`],
    }
    await setPolicy(JSON.stringify({ Version: '2012-10-17', Statement: [statement] }))
    expect(await capabilitiesOf(open())).toEqual({
      ...ALL,
      unfinishedUploads: { listing: 'denied', removal: 'denied' },
    })
  })

  test('without conditional writes is told as what we do instead', async () => {
    const store = newRoot(s3().server, 'conditionalWrites: false').open()
    expect(await capabilitiesOf(store)).toMatchObject({ conditionalCreate: 'looked up' })
  })

  test('is what it can do in the buckets of all keyspaces, once there is one', async () => {
    const storage = `{ kind: ceph, bucketPerKeyspace: true, endpoint: "${s3().server.endpoint}" }`
    const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
    const config = parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage
    if (config.kind !== 'ceph') throw new Error(`${config.kind} instead of ceph`)
    const store = new KeyspaceBuckets(config)
    onTestFinished(async () => {
      store.close()
      await emptyBucket(s3().admin, 'commerce')
    })
    expect(await capabilitiesOf(store)).toBeUndefined()
    expect(await initializeRepository(store, SHARD)).toEqual({ outcome: 'made', id: expect.any(String) })
    await store.put('commerce/0/x', Buffer.from('x'))
    expect(await capabilitiesOf(store)).toEqual({ ...ALL, unfinishedUploads: UPLOADS })
  })
})

describe('a repository in a bucket that is made on purpose', () => {
  test('of S3 is its marker and nothing else, and is made once', async () => {
    const { open, root } = newRoot(s3().server)
    const made = await initializeRepository(open(), SHARD)
    expect(made).toEqual({ outcome: 'made', id: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(await objectsBelow(root)).toEqual(['.tabletkeeper-repository'])
    expect(await initializeRepository(open(), SHARD)).toEqual({ outcome: 'ready already', id: made.id })
    expect(await open().list('')).toEqual({ objects: [], prefixes: [] })
  })

  test('of S3 is refused where something else is', async () => {
    const { open, root } = newRoot(s3().server)
    await s3().admin.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${root}/pictures/1.jpg`, Body: 'x' }))
    await expect(initializeRepository(open(), SHARD)).rejects.toThrow(ofType('InvalidConfig'))
    expect(await objectsBelow(root)).toEqual(['pictures/1.jpg'])
  })

  test('of Google is made once', async () => {
    const { open } = newGcsRoot(gcs().endpoint)
    const made = await initializeRepository(open(), SHARD)
    expect(made.outcome).toBe('made')
    expect(await initializeRepository(open(), SHARD)).toEqual({ outcome: 'ready already', id: made.id })
    expect(await open().list('')).toEqual({ objects: [], prefixes: [] })
  })
})

describe('what a Google Cloud Storage store can do', () => {
  test('is everything for who may do everything, and not to remove for who may not', async () => {
    const proxy = await startProxy(gcs().endpoint)
    const { open } = newGcsRoot(proxy.endpoint)
    expect(await capabilitiesOf(open())).toEqual({ ...ALL, unfinishedUploads: null })
    proxy.fault = ({ method }) => (method === 'DELETE' ? { kind: 'answer', status: 403 } : undefined)
    const denied = { ...ALL, removal: 'denied', unfinishedUploads: null }
    expect(await capabilitiesOf(open())).toEqual(denied)
    // The probe stays, and is the next one's.
    expect(await capabilitiesOf(open())).toEqual(denied)
    expect(await open().repository()).toEqual({ state: 'new' })
  })

  test('is proven by many agents at the same moment, of which none removes what the others look at', async () => {
    const proxy = await startProxy(gcs().endpoint)
    const { open } = newGcsRoot(proxy.endpoint)
    const agents = Array.from({ length: 8 }, open)
    for (let round = 0; round < 5; round++) await Promise.all(agents.map((agent) => agent.probe()))
    expect(proxy.passed.filter(({ method }) => method === 'DELETE')).toEqual([])
  })

  test('is proven though `check`, which asks whether the probe may be removed, has removed it meanwhile', async () => {
    const proxy = await startProxy(gcs().endpoint)
    const store = newGcsRoot(proxy.endpoint).open()
    let missed = 0
    proxy.fault = ({ path }) =>
      path.includes('probe') && path.includes('alt=media') && missed++ < 2 ? { kind: 'answer', status: 404 } : undefined
    await store.probe()
    missed = Number.NEGATIVE_INFINITY
    await expect(store.probe()).rejects.toThrow(/does not give back what was just written/)
  })
})
