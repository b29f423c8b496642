import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection } from '@temporalio/client'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { runControl } from '../../workers/control.ts'
import { linkToTemporal } from '../../workers/temporal.ts'
import { startCli, writeConfig } from '../client/command-line.ts'
import { eventually } from '../integration/assertions.ts'
import { MINIMAL, parse } from '../model/minimal-config.ts'
import { makeCertificates, NO_OPENSSL } from '../security/certificates.ts'
import { startTlsFront } from '../security/tls-front.ts'

let directory: string
let temporal: TemporalServer
let lines: string[] = []
let heard: (line: string) => void = () => undefined
const hear = (line: string): void => {
  lines.push(line)
  heard(line)
}
// One for all: the SDK's runtime writes to the first in this process.
const log = pino({ level: 'debug' }, { write: hear })
const config = parse(MINIMAL)

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-link-'))
  temporal = await startTemporal({ directory: join(directory, 'temporal') })
})
afterAll(async () => {
  await temporal?.stop()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => {
  lines = []
  heard = () => undefined
  vi.stubEnv('TEMPORAL_ADDRESS', temporal.address)
  return () => vi.unstubAllEnvs()
})

const saying = (text: string) =>
  eventually(
    async () => lines.join(''),
    (said) => said.includes(text),
  )

test('a namespace that is not there is named, and waited for', async () => {
  vi.stubEnv('TEMPORAL_NAMESPACE', 'later')
  const linked = linkToTemporal(config.temporal, new AbortController().signal, log)
  await saying('it has no namespace later')
  const connection = await Connection.connect({ address: temporal.address })
  const { config: standard } = await connection.workflowService.describeNamespace({ namespace: 'default' })
  await connection.workflowService.registerNamespace({
    namespace: 'later',
    workflowExecutionRetentionPeriod: standard?.workflowExecutionRetentionTtl ?? null,
  })
  await connection.close()
  const link = await linked
  expect(link.namespace).toBe('later')
  await link.close()
})

test('control that is told to end while it starts ends', async () => {
  const stopping = new AbortController()
  heard = (line) => {
    if (line.includes('Creating worker')) stopping.abort()
  }
  await runControl({ config, signal: stopping.signal, log })
  expect(stopping.signal.aborted).toBe(true)
})

describe.skipIf(NO_OPENSSL !== undefined)(`behind TLS${NO_OPENSSL ? ` (${NO_OPENSSL})` : ''}`, () => {
  test('a certificate that was renewed is read while Temporal is waited for', async () => {
    const [own, foreign] = await Promise.all([
      makeCertificates(join(directory, 'own')),
      makeCertificates(join(directory, 'foreign')),
    ])
    await using front = await startTlsFront({
      upstream: temporal.address,
      certificates: own,
      admits: { by: 'certificate' },
    })
    const [certificate, key] = ['client.pem', 'client.key'].map((name) => join(directory, name))
    if (certificate === undefined || key === undefined) throw new Error('they have names')
    await copyFile(foreign.clientCertificate, certificate)
    await copyFile(foreign.clientKey, key)
    vi.stubEnv('TEMPORAL_ADDRESS', front.address)
    vi.stubEnv('TEMPORAL_TLS_SERVER_CA_CERT_PATH', own.authority)
    vi.stubEnv('TEMPORAL_TLS_SERVER_NAME', 'localhost')
    vi.stubEnv('TEMPORAL_TLS_CLIENT_CERT_PATH', certificate)
    vi.stubEnv('TEMPORAL_TLS_CLIENT_KEY_PATH', key)
    const linked = linkToTemporal(config.temporal, new AbortController().signal, log)
    await saying('next try')
    // As where files are replaced one after the other.
    await rm(key)
    await saying('those of before are tried again')
    await copyFile(own.clientKey, key)
    await copyFile(own.clientCertificate, certificate)
    await (await linked).close()
  })

  test('control that Temporal refuses after it has let it in ends, so that it can be started again', async () => {
    const certificates = await makeCertificates(join(directory, 'keyed'))
    const API_KEY = 'the key of before'
    let calls = (): number => 0
    const admits = {
      by: 'API key',
      // What it asks when it connects is answered, and nothing that follows.
      get key() {
        return calls() < 2 ? API_KEY : 'another'
      },
    } as const
    await using front = await startTlsFront({ upstream: temporal.address, certificates, admits })
    calls = () => front.calls
    const storageRoot = join(directory, 'storage')
    await mkdir(storageRoot)
    const control = startCli(['control'], {
      TABLETKEEPER_CONFIG: await writeConfig(directory, storageRoot),
      TEMPORAL_ADDRESS: front.address,
      TEMPORAL_API_KEY: API_KEY,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.authority,
      TEMPORAL_TLS_SERVER_NAME: 'localhost',
    })
    onTestFinished(() => void control.child.kill('SIGKILL'))
    // By itself, or killed by itself: the SDK leaves a thread behind where a worker could not be created.
    const { stderr } = await control.ended
    expect(stderr).toContain('no such key')
    expect(stderr).not.toContain('cannot be reached')
  })
})
