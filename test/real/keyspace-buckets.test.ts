import { CreateBucketCommand, HeadObjectCommand, ListBucketsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import { KeyspaceBuckets } from '../../storage/s3/keyspace-buckets.ts'
import { contentOf, keysOf, ofType } from '../storage/store-under-test.ts'
import { BUCKET, emptyBucket, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

const BACKUP = 'user_data/-80/2026-11-24.143446.zone1-0000000101'

async function open(): Promise<KeyspaceBuckets> {
  const storage = `{ kind: ceph, bucketPerKeyspace: true, endpoint: "${s3().server.endpoint}" }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  const store = await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
  if (!(store instanceof KeyspaceBuckets)) throw new Error(`${store.description} instead of a bucket for each keyspace`)
  onTestFinished(() => store.close())
  return store
}

async function bucketNames(): Promise<readonly string[]> {
  const { Buckets = [] } = await s3().admin.send(new ListBucketsCommand({}))
  return Buckets.flatMap(({ Name }) => Name ?? [])
}

describe('a bucket for each keyspace', () => {
  afterEach(async () => {
    for (const bucket of await bucketNames()) if (bucket !== BUCKET) await emptyBucket(s3().admin, bucket)
  })

  test('is made when its keyspace is first written to, as Vitess names it, and all are one repository', async () => {
    const store = await open()
    expect(await store.repository()).toEqual({ state: 'new' })
    await store.put('commerce/0/x', Buffer.from('x'))
    await store.put(`${BACKUP}/0`, Buffer.from('0'))
    const upload = await store.upload(`${BACKUP}/`)
    const writer = await upload.open('1', 0)
    await writer.write(Buffer.from('1'))
    await writer.finish()
    await writer.close()
    await upload.commit(['1'])

    expect(await bucketNames()).toEqual([BUCKET, 'commerce', 'user-data'])
    await s3().admin.send(new HeadObjectCommand({ Bucket: 'user-data', Key: `${BACKUP}/1` }))
    expect(await keysOf(store, '')).toEqual(['commerce/0/x', `${BACKUP}/0`, `${BACKUP}/1`])
    expect((await store.list('', { delimiter: '/' })).prefixes).toEqual(['commerce/', 'user_data/'])
    expect((await store.list('user_data/-80/', { delimiter: '/' })).prefixes).toEqual([`${BACKUP}/`])
    expect(String(await contentOf(store, `${BACKUP}/1`))).toBe('1')
    const found = await store.repository()
    expect(found).toMatchObject({ state: 'ready', id: expect.any(String) })
    expect(await (await open()).repository()).toEqual(found)
    await store.probe()
  })

  test('that is not there has no objects, once the repository is ready', async () => {
    const store = await open()
    await expect(store.list('commerce/0/')).rejects.toThrow(ofType('StorageUnavailable'))
    await expect(store.head('commerce/0/x')).rejects.toThrow(ofType('StorageUnavailable'))
    await store.put('commerce/0/x', Buffer.from('x'))
    expect(await keysOf(store, 'other/0/')).toEqual([])
    expect(await store.head('other/0/x')).toBeUndefined()
    await expect(store.get('other/0/x')).rejects.toThrow(ofType('NotFound'))
    await store.delete(['other/0/x', 'commerce/0/x'])
    await store.abortUploads('other/0/')
    expect(await keysOf(store, '')).toEqual([])
    expect(await bucketNames()).toEqual([BUCKET, 'commerce'])
  })

  test('that Vitess wrote to is read as it is, and gets its marker by the first write', async () => {
    await s3().admin.send(new CreateBucketCommand({ Bucket: 'user-data' }))
    await s3().admin.send(new PutObjectCommand({ Bucket: 'user-data', Key: `${BACKUP}/MANIFEST`, Body: '{}' }))
    const store = await open()
    expect(await store.repository()).toEqual({ state: 'ready', id: null })
    expect((await store.list('user_data/-80/', { delimiter: '/' })).prefixes).toEqual([`${BACKUP}/`])
    expect(String(await contentOf(store, `${BACKUP}/MANIFEST`))).toBe('{}')
    await store.put('user_data/-80/x', Buffer.from('x'))
    expect(await store.repository()).toEqual({ state: 'ready', id: expect.any(String) })
  })

  test('leaves buckets of others alone', async () => {
    await s3().admin.send(new CreateBucketCommand({ Bucket: 'pictures' }))
    await s3().admin.send(new PutObjectCommand({ Bucket: 'pictures', Key: 'holidays/1.jpg', Body: 'x' }))
    const store = await open()
    expect(await store.repository()).toEqual({ state: 'new' })
    await store.put('commerce/0/x', Buffer.from('x'))
    expect(await keysOf(store, '')).toEqual(['commerce/0/x'])
    await store.probe()
    await store.abortUploads('')
  })
})
