import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startVersitygw } from '../../sandbox/versitygw.ts'
import { S3Store } from '../../storage/s3/s3.ts'
import { contentOf, ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { newRoot, s3Config, useVersitygw } from './s3-server.ts'

const run = promisify(execFile)
const s3 = useVersitygw()

const MIB = 1024 ** 2
const bytes = randomBytes(20 * MIB)

/** A store with an object `a`, and another that looks at it through a proxy. */
async function broken(settings = '') {
  const proxy = await startCuttingProxy(s3().server.endpoint)
  const { open, root } = newRoot(s3().server)
  const direct = open()
  await direct.put('a', bytes)
  const store = new S3Store({ ...s3Config(s3().server, `root: "${root}", ${settings}`), endpoint: proxy.endpoint })
  onTestFinished(() => store.close())
  return { proxy, direct, store }
}

const cutAnswer = (after: number) => ({ way: 'answer', after, kind: 'cut' }) as const

/** How long it is: a failure that would print twenty million bytes prints nothing. */
async function readAll(store: S3Store): Promise<number> {
  return (await buffer(await store.get('a'))).length
}

describe('a read that breaks off', () => {
  test('goes on from where it was, as often as it must', async () => {
    const { proxy, store } = await broken()
    proxy.faults.push(cutAnswer(3 * MIB), cutAnswer(1000), cutAnswer(1 * MIB + 17), cutAnswer(5 * MIB))
    expect(bytes.equals(await buffer(await store.get('a')))).toBe(true)
    expect(proxy.connections).toBe(5)
  })

  test('of a range, in the midst of others, gives that range', async () => {
    const { proxy, store } = await broken()
    proxy.faults.push(undefined, cutAnswer(2 * MIB), cutAnswer(2 * MIB), undefined, cutAnswer(1 * MIB))
    const ranges = [0, 3, 6, 9, 12].map((at) => ({ start: at * MIB + 5, end: (at + 3) * MIB }))
    const read = await Promise.all(ranges.map(async (range) => await buffer(await store.get('a', range))))
    ranges.forEach(({ start, end }, index) => {
      expect(read[index]?.equals(bytes.subarray(start, end + 1))).toBe(true)
    })
  })

  test('because nothing comes any more goes on too', async () => {
    const { proxy, store } = await broken('stallTimeout: 5s')
    proxy.faults.push({ way: 'answer', after: 4 * MIB, kind: 'stall' })
    expect(bytes.equals(await buffer(await store.get('a')))).toBe(true)
  })

  test('again and again is given up', async () => {
    const { proxy, store } = await broken()
    proxy.faults.push(...Array.from({ length: 200 }, () => cutAnswer(1500)))
    await expect(readAll(store)).rejects.toMatchObject({
      type: 'StorageUnavailable',
      message: expect.stringMatching(/could not read a to its end: at byte \d+ of 20971520/),
    })
  })

  test('of an object that was replaced meanwhile fails, and mixes nothing', async () => {
    const { proxy, direct, store } = await broken()
    proxy.faults.push(cutAnswer(3 * MIB))
    proxy.onFault = () => direct.put('a', randomBytes(20 * MIB))
    await expect(readAll(store)).rejects.toThrow(ofType('StorageUnavailable'))
  })

  test('is another thing than damage, which the checksum of the object tells', async () => {
    const { proxy, store } = await broken()
    proxy.faults.push({ way: 'answer', after: 3 * MIB, kind: 'damage' })
    await expect(readAll(store)).rejects.toMatchObject({
      type: 'StorageUnavailable',
      message: expect.stringContaining('Checksum mismatch'),
    })
    expect(bytes.equals(await buffer(await store.get('a')))).toBe(true)
  })

  test('is not taken for one when its reader is slow', async () => {
    const { store } = await broken('stallTimeout: 5s')
    const body = await store.get('a')
    const read: Buffer[] = []
    for await (const chunk of body) {
      read.push(chunk)
      // Longer than the store may take for it.
      if (read.length === 2) await new Promise((resolve) => setTimeout(resolve, 7_500))
    }
    expect(bytes.equals(Buffer.concat(read))).toBe(true)
  })
})

describe('a write that breaks off', () => {
  test('is sent again, and stored once', async () => {
    const { proxy, direct, store } = await broken()
    const cut = { way: 'request', after: 1 * MIB, kind: 'cut' } as const
    proxy.faults.push(undefined, cut, cut, { ...cut, after: 100 })
    const upload = await store.upload('k/0/a/')
    const writer = await upload.open('0', 0)
    await writer.write(bytes)
    await writer.finish()
    await writer.close()
    await upload.commit(['0'])
    expect(bytes.equals(await contentOf(direct, 'k/0/a/0'))).toBe(true)
  })

  test('because it is aborted while it stands still leaves nothing', async () => {
    const { proxy, direct, store } = await broken()
    await store.put('k/first', Buffer.from('x'))
    const stall = { way: 'request', after: 1000, kind: 'stall' } as const
    proxy.faults.push(undefined, stall, stall, stall)
    const controller = new AbortController()
    const reason = new Error('cancelled')
    proxy.onFault = () => controller.abort(reason)
    const begun = performance.now()
    await expect(store.put('k/a', Readable.from([bytes]), { signal: controller.signal })).rejects.toBe(reason)
    expect(performance.now() - begun).toBeLessThan(20_000)
    expect((await direct.list('k/')).objects.map(({ key }) => key)).toEqual(['k/first'])
    expect((await direct.list('', { delimiter: '/' })).prefixes).toEqual(['k/'])
  })

  test('is sent again too when it arrives damaged', async () => {
    const { proxy, direct, store } = await broken()
    await store.put('k/first', Buffer.from('x'))
    proxy.faults.push({ way: 'request', after: 1 * MIB, kind: 'damage' })
    await Promise.all(['k/0', 'k/1'].map((key) => store.put(key, bytes.subarray(0, 5 * MIB))))
    for (const key of ['k/0', 'k/1']) {
      expect(bytes.subarray(0, 5 * MIB).equals(await contentOf(direct, key))).toBe(true)
    }
  })

  test('when its answer is lost is known for its own', async () => {
    const { proxy, direct, store } = await broken()
    await store.repository()
    // The connection of that look is used again: what comes next on it is the answer to the write.
    for (const after of [1, 10]) {
      proxy.faults.push(cutAnswer(after), cutAnswer(after))
      await Promise.all([0, 1].map((index) => store.put(`k/${after}-${index}`, Buffer.from('x'), { ifAbsent: true })))
    }
    expect((await direct.list('k/')).objects).toHaveLength(4)
  })
})

test('over TLS objects are written and read, where the certificate is known', async () => {
  const directory = await temporaryDirectory()
  const tls = { certificate: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', tls.key, '-out', tls.certificate],
  ])
  await using server = await startVersitygw({ tls })
  const environment = {
    ...process.env,
    AWS_ACCESS_KEY_ID: server.keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.keys.secretAccessKey,
  }
  const program = join(import.meta.dirname, 's3-round-trip.ts')
  const { stdout } = await run(process.execPath, [program, server.endpoint], {
    env: { ...environment, NODE_EXTRA_CA_CERTS: tls.certificate },
  })
  expect(stdout).toBe('the same\n')

  const store = new S3Store({ ...s3Config(s3().server), endpoint: server.endpoint })
  onTestFinished(() => store.close())
  await expect(store.get('a')).rejects.toMatchObject({
    type: 'InvalidConfig',
    hint: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
  })
})
