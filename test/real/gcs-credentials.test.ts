import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { runCommand } from '../../sandbox/command.ts'
import { GcsStore } from '../../storage/gcs/gcs.ts'
import { listenOnLoopback } from '../storage/loopback.ts'
import { contentOf, ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { gcsConfig, useFakeGcs } from './gcs-server.ts'

const gcs = useFakeGcs()

beforeEach(() => {
  vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', undefined)
  vi.stubEnv('STORAGE_EMULATOR_HOST', undefined)
  // Nobody's own: gcloud keeps credentials below it.
  vi.stubEnv('CLOUDSDK_CONFIG', '/nowhere')
  vi.stubEnv('HOME', '/nowhere')
})

afterEach(() => vi.unstubAllEnvs())

/** The metadata server of an instance, whose tokens last so many seconds. @returns the tokens that it gave */
async function startMetadata(seconds: number): Promise<string[]> {
  const given: string[] = []
  const answer: RequestListener = (asked, response) => {
    response.setHeader('metadata-flavor', 'Google')
    if (!asked.url?.includes('/service-accounts/default/token')) {
      response.writeHead(asked.url?.includes('universe') ? 404 : 200).end()
      return
    }
    const token = `token-${given.length + 1}`
    given.push(token)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ access_token: token, expires_in: seconds, token_type: 'Bearer' }))
  }
  vi.stubEnv('GCE_METADATA_HOST', await listenOnLoopback(createServer(answer)))
  vi.stubEnv('METADATA_SERVER_DETECTION', 'assume-present')
  return given
}

/** The bucket's server behind TLS, which takes one token alone, when it is told which. */
async function startTls(
  accepts: (token: string) => boolean,
): Promise<{ readonly endpoint: string; readonly seen: Set<string> }> {
  const directory = await temporaryDirectory()
  const [key, certificate] = [join(directory, 'key'), join(directory, 'certificate')]
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate]
  const of = ['-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  await runCommand('openssl', ['req', '-x509', ...made, ...of])
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, await readFile(certificate, 'utf8')])
  onTestFinished(() => setDefaultCACertificates(before))
  const seen = new Set<string>()
  const server = createTlsServer({ key: await readFile(key), cert: await readFile(certificate) }, (asked, response) => {
    const token = asked.headers.authorization?.replace('Bearer ', '') ?? ''
    seen.add(token)
    if (!accepts(token)) {
      asked.resume()
      response.writeHead(401).end('{"error":{"message":"Invalid Credentials"}}')
      return
    }
    const inner = request(`${gcs().endpoint}${asked.url}`, { method: asked.method ?? 'GET', headers: asked.headers })
    inner.on('response', (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 500, answer.headers)))
    asked.pipe(inner)
  })
  return { endpoint: `https://${await listenOnLoopback(server)}`, seen }
}

function storeAt(endpoint: string): GcsStore {
  const store = new GcsStore(gcsConfig(endpoint, `root: "r${Math.random().toString(16).slice(2)}"`), { firstPause: 20 })
  onTestFinished(() => store.close())
  return store
}

test('the account of the instance is asked for tokens, which go through TLS with every request, and are renewed', async () => {
  const given = await startMetadata(60)
  const { endpoint, seen } = await startTls((token) => given.at(-1) === token || given.at(-2) === token)
  const store = storeAt(endpoint)
  const bytes = Buffer.alloc(9_000_000, 7)
  await store.put('a', bytes)
  await store.put('b', (await store.get('a')).pause())
  expect(bytes.equals(await contentOf(store, 'b'))).toBe(true)
  expect(given.length).toBeGreaterThan(3)
  expect([...seen].every((token) => given.includes(token))).toBe(true)
})

test('a token that is refused is StorageDenied, and says where credentials come from', async () => {
  await startMetadata(3_600)
  const { endpoint } = await startTls(() => false)
  await expect(storeAt(endpoint).repository()).rejects.toMatchObject({
    type: 'StorageDenied',
    message: expect.stringContaining('Invalid Credentials'),
    hint: expect.stringContaining('GOOGLE_APPLICATION_CREDENTIALS'),
  })
})

test('no credentials at all are StorageDenied', async () => {
  vi.stubEnv('METADATA_SERVER_DETECTION', 'none')
  const { endpoint, seen } = await startTls(() => true)
  await expect(storeAt(endpoint).put('a', Buffer.from('x'))).rejects.toThrow(ofType('StorageDenied'))
  expect(seen.size).toBe(0)
})

test('an emulator that the environment names is asked without any', async () => {
  vi.stubEnv('STORAGE_EMULATOR_HOST', gcs().endpoint)
  vi.stubEnv('METADATA_SERVER_DETECTION', 'none')
  const { apiEndpoint: _, ...config } = gcsConfig(gcs().endpoint, 'root: emulated')
  const store = new GcsStore(config)
  onTestFinished(() => store.close())
  await store.put('a', Buffer.from('x'))
  expect(String(await contentOf(store, 'a'))).toBe('x')
})
