import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../sandbox/free-port.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { runCli } from '../client/command-line.ts'
import { eventually } from '../integration/assertions.ts'
import { type Certificates, makeCertificates, NO_OPENSSL } from './certificates.ts'
import { startProcess } from './keeper-process.ts'
import { listeningAddresses } from './listening.ts'
import { startTlsFront, type TlsFront } from './tls-front.ts'

const API_KEY = 'the-key-of-our-namespace'

describe.skipIf(NO_OPENSSL !== undefined)(
  `Temporal behind TLS${NO_OPENSSL ? ` (${NO_OPENSSL})` : ''}`,
  { timeout: 180_000 },
  () => {
    let parts: AsyncDisposableStack
    let directory: string
    let temporal: TemporalServer
    let shard: SampleShard
    let own: Certificates
    let foreign: Certificates
    /** Asks for certificates. */
    let front: TlsFront
    let configPath: string
    let listenPort: number

    beforeAll(async () => {
      await using started = new AsyncDisposableStack()
      directory = await mkdtemp(join(tmpdir(), 'tk-tls-'))
      started.defer(() => rm(directory, { recursive: true, force: true }))
      ;[own, foreign] = await Promise.all([
        makeCertificates(join(directory, 'own')),
        makeCertificates(join(directory, 'foreign')),
      ])
      temporal = started.use(await startTemporal({ directory: join(directory, 'temporal') }))
      shard = started.use(await startShard({ directory: join(directory, 'shard'), replicas: 1, megabytes: 1 }))
      front = started.use(
        await startTlsFront({ upstream: temporal.address, certificates: own, admits: { by: 'certificate' } }),
      )
      const storageRoot = join(directory, 'storage')
      await mkdir(storageRoot)
      listenPort = await freePort()
      configPath = join(directory, 'tabletkeeper.yaml')
      const quick = 'backup: { drainTimeout: 1s, maxLag: 5s, catchUpTimeout: 1m }'
      await writeFile(configPath, `${shard.configText({ storageRoot, listenPort })}\n${quick}\n`)
      await runCli(['storage', 'init'], { TABLETKEEPER_CONFIG: configPath })
      parts = started.move()
    })
    afterAll(async () => {
      await parts?.disposeAsync()
    })

    const common = (): Record<string, string> => ({ TABLETKEEPER_CONFIG: configPath, NO_COLOR: '1' })
    const byCertificate = (): Record<string, string> => ({
      ...common(),
      TEMPORAL_ADDRESS: front.address,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: own.authority,
      TEMPORAL_TLS_SERVER_NAME: 'localhost',
      TEMPORAL_TLS_CLIENT_CERT_PATH: own.clientCertificate,
      TEMPORAL_TLS_CLIENT_KEY_PATH: own.clientKey,
    })
    const logOf = async (name: string): Promise<string> => readFile(join(directory, name), 'utf8')

    test('is reached by agent, control and commands with what the environment or a profile says', async () => {
      const environment = byCertificate()
      await using control = await startProcess('control', { environment, log: join(directory, 'control.log') })
      await using agent = await startProcess('agent', { environment, log: join(directory, 'agent.log') })
      const profile = [
        '[profile.production]',
        `address = "${front.address}"`,
        '[profile.production.tls]',
        `server_ca_cert_path = "${own.authority}"`,
        'server_name = "localhost"',
        `client_cert_path = "${own.clientCertificate}"`,
        `client_key_path = "${own.clientKey}"`,
      ]
      const profilePath = join(directory, 'temporal.toml')
      await writeFile(profilePath, `${profile.join('\n')}\n`)
      const byProfile = { ...common(), TEMPORAL_CONFIG_FILE: profilePath, TEMPORAL_PROFILE: 'production' }
      const before = front.calls
      const backup = await runCli(['backup', shard.replicas[0]?.alias ?? '', '--json'], byProfile)
      expect(backup, backup.stderr + (await logOf('agent.log'))).toMatchObject({ status: 0 })
      expect(front.calls).toBeGreaterThan(before)
      const list = await runCli(['list', shard.shard], byProfile)
      expect(list.stdout).toContain('complete')
      // Nobody listens anywhere else.
      expect(await listeningAddresses(agent.pid)).toEqual([`127.0.0.1:${listenPort}`])
      expect(await listeningAddresses(control.pid)).toEqual([])
    })

    test('whose certificate is of another authority is told from one that is down', async () => {
      const environment = { ...byCertificate(), TEMPORAL_TLS_SERVER_CA_CERT_PATH: foreign.authority }
      const { status, stderr } = await runCli(['status'], environment)
      expect(stderr).toMatch(
        /^error InvalidConfig: the certificate of Temporal at \S+ is not trusted: .+\n {2}TEMPORAL_TLS_SERVER_CA_CERT_PATH/,
      )
      expect(status).toBe(3)
      for (const role of ['control', 'agent'] as const) {
        const log = `untrusting-${role}.log`
        // Not at every try is it the handshake that tells.
        const waiting = { environment, log: join(directory, log), readyWhen: 'is not trusted' }
        await using _process = await startProcess(role, waiting)
        expect(await logOf(log)).toMatch(/"type":"InvalidConfig".*is not trusted/)
        // The agent looks after its tablets meanwhile.
        if (role !== 'agent') continue
        const { alias } = shard.primary
        await eventually(
          async () => (await fetch(`http://127.0.0.1:${listenPort}/tablets/${alias}/serving`)).status,
          (status) => status === 200,
        )
      }
    })

    test('that wants a certificate of ours says so', async () => {
      const { status, stderr } = await runCli(['status'], without(byCertificate(), /CLIENT/))
      expect(stderr).toMatch(/^error InvalidConfig: Temporal at \S+ does not accept our certificate: /)
      expect(status).toBe(3)
    })

    test('is not looked for when a file of the settings is missing, or holds something else', async () => {
      const missing = await runCli(['status'], { ...byCertificate(), TEMPORAL_TLS_CLIENT_KEY_PATH: '/nowhere.key' })
      expect(missing.stderr).toMatch(/^error InvalidConfig: the settings for Temporal cannot be read: .*\/nowhere.key/)
      expect(missing.status).toBe(3)
      const wrong = await runCli(['status'], { ...byCertificate(), TEMPORAL_TLS_CLIENT_KEY_PATH: configPath })
      expect(wrong.stderr).toMatch(/^error InvalidConfig: /)
      expect(wrong.status).toBe(3)
    })

    test('takes an API key from who has no certificate, and refuses another', async () => {
      await using keyed = await startTlsFront({
        upstream: temporal.address,
        certificates: own,
        admits: { by: 'API key', key: API_KEY },
      })
      const environment = {
        ...common(),
        TEMPORAL_ADDRESS: keyed.address,
        TEMPORAL_API_KEY: API_KEY,
        TEMPORAL_TLS_SERVER_CA_CERT_PATH: own.authority,
        TEMPORAL_TLS_SERVER_NAME: 'localhost',
      }
      await using _control = await startProcess('control', { environment, log: join(directory, 'keyed.log') })
      expect(await runCli(['status'], environment)).toMatchObject({ status: 0, stderr: 'no run is open\n' })
      const { status, stderr } = await runCli(['status'], { ...environment, TEMPORAL_API_KEY: 'another' })
      expect(stderr).toMatch(
        /^error InvalidConfig: Temporal at \S+ refuses us: no such key\n {2}Look at TEMPORAL_API_KEY/,
      )
      expect(status).toBe(3)
      const waiting = { log: join(directory, 'refused.log'), readyWhen: 'no such key' }
      await using _refused = await startProcess('control', {
        ...waiting,
        environment: { ...environment, TEMPORAL_API_KEY: 'another' },
      })
      expect(await logOf('refused.log')).toContain('no such key')
    })
  },
)

function without(environment: Readonly<Record<string, string>>, names: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !names.test(name)))
}
