import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { ListObjectsV2Command, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { S3Keys } from '../../sandbox/versitygw.ts'
import type { ObjectStore, ObjectWriter } from '../../storage/object-store.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { type ExpiringCredentials, startExpiringCredentials } from './expiring-credentials.ts'
import { BUCKET, newRoot, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

/** Of one part. */
const PIECE = randomBytes(8 * 1024 ** 2)
const PIECES = 13
/** Written before something happens. */
const EARLY = 6
const DIRECTORY = 'k/0/a/'
const PATIENT = { timeout: 60_000 }

beforeEach(() => {
  for (const name of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN', 'PROFILE', 'WEB_IDENTITY_TOKEN_FILE']) {
    vi.stubEnv(`AWS_${name}`, undefined)
  }
  vi.stubEnv('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', undefined)
  vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', undefined)
  // Nobody's own.
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere')
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere')
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
})

afterEach(() => vi.unstubAllEnvs())

/** The ways by which the SDK comes to credentials that expire: what a process has to be told. */
const WAYS: Readonly<Record<string, (source: string) => Promise<void>>> = {
  'the endpoint of its container': async (source) => {
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', source)
  },
  'the credential_process of its profile': async (source) => {
    const config = join(await temporaryDirectory(), 'config')
    const program = join(import.meta.dirname, 'print-credentials.ts')
    await writeFile(config, `[default]\ncredential_process = "${process.execPath}" "${program}" ${source}\n`)
    vi.stubEnv('AWS_CONFIG_FILE', config)
  },
}

/** Of this file. */
const users: string[] = []

/** One more who may do everything in the bucket. */
async function addUser(): Promise<S3Keys> {
  const user = await s3().server.addUser()
  users.push(user.accessKeyId)
  const statement = {
    Effect: 'Allow',
    Principal: { AWS: users },
    Action: 's3:*',
    Resource: [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`],
  }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
  await s3().admin.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }))
  return user
}

async function storeWith(way: string) {
  const credentials = await startExpiringCredentials(s3().server.endpoint, addUser)
  await WAYS[way]?.(credentials.source)
  const store = newRoot({ ...s3().server, endpoint: credentials.endpoint }).open()
  return { credentials, store }
}

async function write(writer: ObjectWriter, pieces: number): Promise<void> {
  for (let piece = 0; piece < pieces; piece++) await writer.write(PIECE)
}

/** Waits until the store takes none of what was given up to now. */
async function awaitExpired(credentials: ExpiringCredentials): Promise<void> {
  const given = credentials.issued
  await expect.poll(() => given.some((keys) => credentials.isGood(keys)), PATIENT).toBe(false)
}

async function expectWhole(store: ObjectStore): Promise<void> {
  const written = createHash('sha256')
  for (let piece = 0; piece < PIECES; piece++) written.update(PIECE)
  const stored = createHash('sha256')
  for await (const chunk of await store.get(`${DIRECTORY}0`)) stored.update(chunk)
  expect(stored.digest('hex')).toBe(written.digest('hex'))
}

/** Asks the store as somebody who has kept old credentials. */
async function askWith(keys: S3Keys, { endpoint }: ExpiringCredentials): Promise<unknown> {
  const client = new S3Client({ endpoint, region: 'us-east-1', credentials: keys, forcePathStyle: true })
  onTestFinished(() => client.destroy())
  return await client.send(new ListObjectsV2Command({ Bucket: BUCKET }))
}

describe('credentials that expire', () => {
  test.each(Object.keys(WAYS))('in the midst of an upload are renewed from %s', async (way) => {
    const { credentials, store } = await storeWith(way)
    const upload = await store.upload(DIRECTORY)
    const writer = await upload.open('0', 0)
    await write(writer, EARLY)
    const [first] = credentials.issued
    if (first === undefined) throw new Error('no credentials were asked for')
    await awaitExpired(credentials)
    await write(writer, PIECES - EARLY)
    await writer.finish()
    await writer.close()
    await upload.commit(['0'])
    await expectWhole(store)

    expect(credentials.asked).toBeGreaterThan(1)
    expect(credentials.taken.has(first.accessKeyId)).toBe(true)
    expect(credentials.taken.size).toBeGreaterThan(1)
    expect(credentials.refused).toBe(0)
    await expect(askWith(first, credentials)).rejects.toMatchObject({ name: 'ExpiredToken' })
  })

  test('and are not renewed make the store unavailable; when there are new ones, the upload goes on', async () => {
    const { credentials, store } = await storeWith('the endpoint of its container')
    const upload = await store.upload(DIRECTORY)
    const writer = await upload.open('0', 0)
    await write(writer, EARLY)
    await expect.poll(() => writer.kept, PATIENT).toBe(EARLY * PIECE.length)
    credentials.state = 'silent'
    await awaitExpired(credentials)
    // What is left may fit into the parts that are sent at once: then only the end waits for them.
    await expect(write(writer, PIECES - EARLY).then(() => writer.finish())).rejects.toMatchObject({
      type: 'StorageUnavailable',
      retryable: true,
      message: expect.stringMatching(/^cannot store part \d+ of k\/0\/a\/0 in s3:.*: CredentialsProviderError: /),
      hint: expect.stringContaining('Renew the session that the credentials come from'),
    })
    await writer.close()

    credentials.state = 'renewing'
    const again = await store.upload(DIRECTORY, upload.id)
    const rest = await again.open('0', EARLY * PIECE.length)
    expect(rest.kept).toBe(EARLY * PIECE.length)
    await write(rest, PIECES - EARLY)
    await rest.finish()
    await rest.close()
    await again.commit(['0'])
    await expectWhole(store)
  })

  test('though their source says that they are good make the store unavailable', async () => {
    const { credentials, store } = await storeWith('the endpoint of its container')
    await store.put('a', Buffer.from('x'))
    credentials.state = 'stale'
    await awaitExpired(credentials)
    const calls = [store.put('b', Buffer.from('x')), store.get('a'), store.list('')]
    for (const result of await Promise.allSettled(calls)) {
      const reason = {
        type: 'StorageUnavailable',
        retryable: true,
        message: expect.stringContaining('ExpiredToken: The provided token has expired.'),
        hint: expect.stringContaining('Renew the session that the credentials come from'),
      }
      expect(result).toMatchObject({ status: 'rejected', reason })
    }
    expect(credentials.refused).toBeGreaterThan(2)
  })

  test('in a profile, which does not say when, are read from its file again once somebody has renewed them', async () => {
    const credentials = await startExpiringCredentials(s3().server.endpoint, addUser)
    const path = join(await temporaryDirectory(), 'credentials')
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', path)
    const renew = async () => {
      await (await fetch(credentials.source)).text()
      const { accessKeyId, secretAccessKey } = credentials.issued.at(-1) ?? { accessKeyId: '', secretAccessKey: '' }
      await writeFile(
        path,
        `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
      )
    }
    await renew()
    const store = newRoot({ ...s3().server, endpoint: credentials.endpoint }).open()
    await store.put('a', Buffer.from('x'))
    await awaitExpired(credentials)
    const expired = { type: 'StorageUnavailable', hint: expect.stringContaining('restart agents and control') }
    await expect(store.get('a')).rejects.toMatchObject(expired)
    await renew()
    expect(String(await buffer(await store.get('a')))).toBe('x')
    await store.put('b', Buffer.from('x'))
  })

  test('are another thing than none at all, which is denied', async () => {
    const { credentials, store } = await storeWith('the endpoint of its container')
    credentials.state = 'silent'
    await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({
      type: 'StorageDenied',
      hint: expect.stringContaining('AWS_PROFILE'),
    })
    expect(credentials.asked).toBeGreaterThan(0)
  })
})
