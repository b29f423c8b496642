import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ListMultipartUploadsCommand, PutBucketPolicyCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../sandbox/free-port.ts'
import { PartPlan } from '../../storage/s3/parts.ts'
import { S3Store } from '../../storage/s3/s3.ts'
import { contentOf, keysOf, ofType } from '../storage/store-under-test.ts'
import { agentPolicy } from './s3-policy.ts'
import { BUCKET, newRoot, s3Config, useKeys, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

const MIB = 1024 ** 2

/** All calls that a store has. */
function everyCall(store: S3Store): readonly Promise<unknown>[] {
  return [
    store.repository(),
    store.put('a', Buffer.from('x')),
    store.put('b', Readable.from([Buffer.from('x')])),
    store.get('a'),
    store.head('a'),
    store.list(''),
    store.delete(['a']),
    store.abortUploads('a/'),
    store.upload('a/'),
    store.probe(),
  ]
}

async function as(keys: Parameters<typeof useKeys>[0]): Promise<void> {
  useKeys(keys)
  onTestFinished(() => useKeys(s3().server.keys))
}

describe('a store that cannot be used', () => {
  test('for want of its bucket is a mistake in the configuration', async () => {
    const store = new S3Store(s3Config(s3().server), { bucket: 'nowhere' })
    onTestFinished(() => store.close())
    for (const result of await Promise.allSettled(everyCall(store))) {
      expect(result).toMatchObject({ status: 'rejected', reason: { type: 'InvalidConfig' } })
      expect(result).toMatchObject({ reason: { hint: 'Create the bucket, or correct storage.bucket.' } })
    }
  })

  test('with these credentials is denied, and says what to look at', async () => {
    await as({ accessKeyId: 'nobody', secretAccessKey: 'nothing' })
    const store = newRoot(s3().server).open()
    for (const result of await Promise.allSettled(everyCall(store))) {
      expect(result).toMatchObject({ status: 'rejected', reason: { type: 'StorageDenied' } })
    }
    await expect(store.list('')).rejects.toMatchObject({ hint: expect.stringContaining('AWS_ACCESS_KEY_ID') })
  })

  test('because nobody listens is unavailable, within a bounded time', async () => {
    const config = { ...s3Config(s3().server), endpoint: `http://127.0.0.1:${await freePort()}` }
    const store = new S3Store(config)
    onTestFinished(() => store.close())
    const begun = performance.now()
    await expect(store.list('')).rejects.toMatchObject({ type: 'StorageUnavailable', retryable: true })
    expect(performance.now() - begun).toBeLessThan(60_000)
  })

  test('for want of a right names the right and the object', async () => {
    const keys = await s3().server.addUser()
    const statement = {
      Effect: 'Allow',
      Principal: { AWS: [keys.accessKeyId] },
      Action: ['s3:GetObject', 's3:ListBucket'],
      Resource: [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`],
    }
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    const { open, root } = newRoot(s3().server)
    await open().put('k/0/a/0', Buffer.from('x'))
    await s3().admin.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }))
    await as(keys)
    const store = open()
    expect(await keysOf(store, '')).toEqual(['k/0/a/0'])
    // Of uploads it may not know; that is no error.
    expect((await store.list('k/0/', { delimiter: '/' })).prefixes).toEqual(['k/0/a/'])
    expect(String(await contentOf(store, 'k/0/a/0'))).toBe('x')
    await expect(store.put('k/0/a/1', Buffer.from('x'))).rejects.toMatchObject({
      type: 'StorageDenied',
      message: expect.stringContaining(`store k/0/a/1 in s3://${BUCKET}/${root}`),
      hint: expect.stringContaining(`s3:PutObject on ${BUCKET}/${root}/k/0/a/1`),
    })
    await expect(store.delete(['k/0/a/0'])).rejects.toMatchObject({
      type: 'StorageDenied',
      hint: expect.stringContaining(`s3:DeleteObject on ${BUCKET}/${root}/k/0/a/0`),
    })
  })
})

describe('a bucket that holds something else', () => {
  test('at the root is not written to', async () => {
    const { open, root } = newRoot(s3().server)
    await s3().admin.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${root}/pictures/1.jpg`, Body: 'x' }))
    await expect(open().put('a', Buffer.from('x'))).rejects.toThrow(ofType('InvalidConfig'))
    await expect(open().list('')).rejects.toThrow(/holds objects that are no backups, such as pictures/)
  })

  test('beside backups of Vitess is read as it is, and gets its marker by the first write', async () => {
    const { open, root } = newRoot(s3().server)
    const backup = 'commerce/0/2026-11-24.143446.zone1-0000000101'
    for (const key of [`${backup}/MANIFEST`, 'pictures/1.jpg']) {
      await s3().admin.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${root}/${key}`, Body: '{}' }))
    }
    const store = open()
    expect(await store.repository()).toEqual({ state: 'ready', id: null })
    expect((await store.list('commerce/0/', { delimiter: '/' })).prefixes).toEqual([`${backup}/`])
    await store.probe()
    expect(await store.repository()).toEqual({ state: 'ready', id: null })
    await store.put('commerce/0/x', Buffer.from('x'))
    expect(await store.repository()).toEqual({ state: 'ready', id: expect.any(String) })
  })
})

describe('a store that lacks something', () => {
  test('such as conditional writes is asked first', async () => {
    const store = newRoot(s3().server, 'conditionalWrites: false').open()
    await store.put('a/MANIFEST', Buffer.from('first'), { ifAbsent: true })
    await expect(store.put('a/MANIFEST', Buffer.from('second'), { ifAbsent: true })).rejects.toThrow(ofType('Refused'))
    expect(String(await contentOf(store, 'a/MANIFEST'))).toBe('first')
    await store.probe()
  })

  test('such as checksums gets none', async () => {
    const store = newRoot(s3().server, 'checksums: false').open()
    const bytes = Buffer.alloc(20_000_000, 'abcdefg')
    await store.put('a', Readable.from([bytes]))
    expect(bytes.equals(await contentOf(store, 'a'))).toBe(true)
  })

  test('such as parts that grow gets equal ones', async () => {
    const { open, root } = newRoot(s3().server, 'partSize: 5MiB, maxParts: 100, equalParts: true')
    const upload = await open().upload('k/0/a/')
    const writer = await upload.open('0', 0)
    for (let index = 0; index < 35; index++) await writer.write(Buffer.alloc(10 * 1024 * 1024, index))
    await writer.finish()
    await writer.close()
    await upload.commit(['0'])
    const last = await open().get('k/0/a/0', { start: 349 * 1024 * 1024, end: 350 * 1024 * 1024 - 1 })
    expect(new Set(await buffer(last))).toEqual(new Set([34]))
    const { Uploads } = await s3().admin.send(new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: root }))
    expect(Uploads ?? []).toEqual([])
  })
})

test('the policy that the documentation shows is enough for an agent and for control, and for nothing else', async () => {
  const [agent, control] = [await s3().server.addUser(), await s3().server.addUser()]
  // Two parts of 10 MiB, then segments.
  const plan = new PartPlan({ partSize: 5 * MIB, maxParts: 4, equalParts: false })
  const { open, root } = newRoot(s3().server, '', plan)
  await open().put('other/0/x', Buffer.from('x'))
  const names = { agent: agent.accessKeyId, control: control.accessKeyId, bucket: BUCKET, root }
  await s3().admin.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: await agentPolicy(names) }))

  await as(agent)
  const store = open()
  await store.probe()
  const upload = await store.upload('commerce/0/a/')
  for (const size of [100, 20 * MIB, 45 * MIB]) {
    const writer = await upload.open(String(size), 0)
    await writer.write(Buffer.alloc(size))
    await writer.finish()
    await writer.close()
  }
  const begun = await upload.open('begun', 0)
  await begun.write(Buffer.alloc(15 * MIB))
  await expect.poll(() => begun.kept).toBe(10 * MIB)
  await begun.close()
  const resumed = await (await store.upload('commerce/0/a/', upload.id)).open('begun', 12 * MIB)
  expect(resumed.kept).toBe(10 * MIB)
  await resumed.close()
  await upload.commit(['100', String(20 * MIB), String(45 * MIB)])
  await store.put('commerce/0/a/MANIFEST', Buffer.from('{}'), { ifAbsent: true })
  expect((await store.list('commerce/0/', { delimiter: '/' })).prefixes).toEqual(['commerce/0/a/'])
  expect(await contentOf(store, 'commerce/0/a/100')).toHaveLength(100)
  await store.abortUploads('commerce/0/a/')
  const denied = [store.delete(['commerce/0/a/100']), store.put('other/0/y', Buffer.from('x')), store.get('other/0/x')]
  for (const result of await Promise.allSettled(denied)) {
    expect(result).toMatchObject({ status: 'rejected', reason: { type: 'StorageDenied' } })
  }

  await as(control)
  const controls = open()
  await controls.abortUploads('commerce/0/a/')
  await controls.delete(await keysOf(controls, 'commerce/0/a/'))
  expect(await keysOf(controls, '')).toEqual(['other/0/x'])
})
