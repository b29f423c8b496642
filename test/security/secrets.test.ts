import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { freePort } from '../../sandbox/free-port.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { EncryptingCodec, encryptionKey } from '../../workers/payload-codec.ts'
import { runCli } from '../client/command-line.ts'
import { eventually } from '../integration/assertions.ts'
import { makeCertificates, NO_OPENSSL } from './certificates.ts'
import { startProcess } from './keeper-process.ts'
import { startRudeStore } from './rude-store.ts'
import { textIn } from './text-in.ts'
import { startTlsFront } from './tls-front.ts'
import { type WatchedHost, watchHost } from './watched-host.ts'

const CUSTOMER_KEY = randomBytes(32).toString('base64')
const ENCRYPTION_KEY = randomBytes(32)

/** Each secret, and what it looks like. */
const SECRETS: Record<string, string> = {
  'password of the agent': `admin-${randomBytes(9).toString('hex')}`,
  'password of the agent, mistyped': `wrong-${randomBytes(9).toString('hex')}`,
  'secret key of S3': `s3-${randomBytes(15).toString('hex')}`,
  'session token of S3': `token-${randomBytes(15).toString('hex')}`,
  "customer's key": CUSTOMER_KEY,
  'encryption key': ENCRYPTION_KEY.toString('base64'),
  'API key of Temporal': `api-${randomBytes(15).toString('hex')}`,
}

/** `WORKFLOW_EXECUTION_STATUS_FAILED` */
const FAILED = 3

/** Secrets that are in a text, in any of the forms that programs write them in. */
function secretsIn(text: string): string[] {
  return Object.entries(SECRETS).flatMap(([name, secret]) => {
    const forms = [secret, Buffer.from(secret).toString('base64').replaceAll('=', ''), encodeURIComponent(secret)]
    return forms.some((form) => text.includes(form)) ? [name] : []
  })
}

describe.skipIf(NO_OPENSSL !== undefined)('no secret', () => {
  let parts: AsyncDisposableStack
  let directory: string
  let temporal: TemporalServer
  let shard: SampleShard
  let replica: SampleTablet
  let watched: WatchedHost
  let environment: Record<string, string>
  /** What commands printed. */
  const printed: string[] = []
  let environmentOfMysqld = ''

  const file = async (name: string, content: string | Buffer): Promise<string> => {
    const path = join(directory, name)
    await writeFile(path, content, { mode: 0o600 })
    return path
  }

  beforeAll(async () => {
    await using started = new AsyncDisposableStack()
    directory = await mkdtemp(join(tmpdir(), 'tk-secrets-'))
    started.defer(() => rm(directory, { recursive: true, force: true }))
    const certificates = await makeCertificates(join(directory, 'certificates'))
    temporal = started.use(await startTemporal({ directory: join(directory, 'temporal') }))
    shard = started.use(await startShard({ directory: join(directory, 'shard'), replicas: 1, megabytes: 1 }))
    const [first] = shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    SECRETS['password of replication'] = shard.replicationAccount.password
    const password = SECRETS['password of the agent'] ?? ''
    await shard.primary.query("ALTER USER tabletkeeper@localhost IDENTIFIED WITH 'caching_sha2_password' BY ?", [
      password,
    ])
    await shard.awaitReplicated(replica)
    const key = SECRETS['API key of Temporal'] ?? ''
    const front = started.use(
      await startTlsFront({ upstream: temporal.address, certificates, admits: { by: 'API key', key } }),
    )
    environment = {
      LOG_LEVEL: 'trace',
      TEMPORAL_ADDRESS: front.address,
      TEMPORAL_API_KEY: key,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.authority,
      TEMPORAL_TLS_SERVER_NAME: 'localhost',
      AWS_ACCESS_KEY_ID: 'AKIAPLANTED',
      AWS_SECRET_ACCESS_KEY: SECRETS['secret key of S3'] ?? '',
      AWS_SESSION_TOKEN: SECRETS['session token of S3'] ?? '',
      AWS_REGION: 'us-east-1',
    }
    watched = started.use(watchHost(join(replica.datadir, '.tabletkeeper')))
    await file('admin.password', `${password}\n`)
    await file('wrong.password', `${SECRETS['password of the agent, mistyped']}\n`)
    await file('customer.key', CUSTOMER_KEY)
    await file('encryption.key', ENCRYPTION_KEY)
    await mkdir(join(directory, 'storage'))
    parts = started.move()

    const good = await configuration('good', {})
    await withProcesses(good, async (run) => {
      await expectDone(run('storage', 'init'))
      await run('check')
      await run('config', 'print')
      await run('config', 'print', '--json')
      await expectDone(run('backup', replica.alias))
      await expectDone(run('verify', shard.shard))
      await expectDone(run('restore', replica.alias, '--yes'))
      await run('list', shard.shard, '--json')
      await run('show', shard.shard)
      await run('status')
      environmentOfMysqld = await readFile(`/proc/${await replica.pid()}/environ`, 'utf8')
    })
    await using store = await startRudeStore()
    const encryption = { customerKeyFile: join(directory, 'customer.key') }
    const storage = { kind: 's3', bucket: 'backups', endpoint: store.endpoint, pathStyle: true, encryption }
    await withProcesses(await configuration('refused', { storage }), async (run) => {
      await run('check', '--json')
      await expectFailed(run('backup', replica.alias))
      await expectFailed(run('restore', replica.alias, '--yes'))
      await expectFailed(run('list', shard.shard))
    })
    await withProcesses(await configuration('mistyped', { admin: 'wrong.password' }), async (run) => {
      await run('check')
      await expectFailed(run('backup', replica.alias))
      await run('agent', 'return', replica.alias)
    })
  }, 300_000)
  afterAll(async () => {
    await parts?.disposeAsync()
  })

  async function configuration(
    name: string,
    { storage, admin = 'admin.password' }: { storage?: object; admin?: string },
  ) {
    const storageRoot = join(directory, 'storage')
    const own: Record<string, unknown> = parse(shard.configText({ storageRoot, listenPort: await freePort() }))
    const { user, password: _password } = shard.replicationAccount
    const text = stringify({
      ...own,
      ...(storage === undefined ? {} : { storage }),
      mysql: {
        admin: { passwordFile: join(directory, admin) },
        replication: { user, passwordFile: shard.replicationPasswordFile },
      },
      temporal: { encryptionKeyFiles: [join(directory, 'encryption.key')] },
      backup: { drainTimeout: '1s', maxLag: '5s', catchUpTimeout: '1m' },
    })
    return await file(`${name}.yaml`, text)
  }

  type Run = (...command: string[]) => Promise<number | null>

  async function withProcesses(configPath: string, act: (run: Run) => Promise<void>): Promise<void> {
    const own = { ...environment, TABLETKEEPER_CONFIG: configPath }
    const log = (role: string) => `${configPath}.${role}.log`
    await using _control = await startProcess('control', { environment: own, log: log('control') })
    await using _agent = await startProcess('agent', { environment: own, log: log('agent') })
    await act(async (...command) => {
      const { status, stdout, stderr } = await runCli(command, own)
      printed.push(`$ ${command.join(' ')}\n${stdout}${stderr}`)
      return status
    })
  }

  async function expectDone(status: Promise<number | null>): Promise<void> {
    const done = await status
    expect(done, printed.at(-1)).toBe(0)
  }

  async function expectFailed(status: Promise<number | null>): Promise<void> {
    const done = await status
    expect(done, printed.at(-1)).not.toBe(0)
  }

  test('is in what commands print', () => {
    const text = printed.join('\n')
    expect(text).toContain('encryption.key')
    expect(text).toContain('SignatureDoesNotMatch')
    expect(text).toMatch(/mysql\.admin\.passwordFile\s+\S+admin\.password/)
    expect(secretsIn(text)).toEqual([])
  })

  test('is in the command line of any process', () => {
    const lines = [...watched.commandLines].join('\n')
    expect(lines).toContain(`--defaults-file=${replica.defaultsFile}`)
    expect(lines).toContain('cli.ts\0backup')
    expect(secretsIn(lines)).toEqual([])
  })

  test('is in the environment of mysqld', () => {
    expect(environmentOfMysqld).toContain('PATH=')
    expect(secretsIn(environmentOfMysqld)).toEqual([])
  })

  test('is in a log', () => {
    const logs = readdirSync(directory).filter((name) => name.endsWith('.log'))
    expect(logs.length).toBe(6)
    for (const name of logs) {
      const text = readFileSync(join(directory, name), 'utf8')
      expect(text).toContain('"level"')
      expect({ name, secrets: secretsIn(text) }).toEqual({ name, secrets: [] })
    }
    const { errorLog } = replica
    expect(secretsIn(readFileSync(errorLog, 'utf8'))).toEqual([])
  })

  test('is in a history, a memo or a failure, not even encrypted', async () => {
    const connection = await Connection.connect({ address: temporal.address })
    const client = new Client({ connection })
    const codec = new EncryptingCodec([encryptionKey(ENCRYPTION_KEY)])
    const listed = async () =>
      (await client.workflowService.listWorkflowExecutions({ namespace: 'default' })).executions ?? []
    const runs = await eventually(listed, (all) => all.filter(({ status }) => status === FAILED).length >= 3)
    let text = ''
    for (const { execution } of runs) {
      const workflowId = execution?.workflowId ?? ''
      const runId = execution?.runId ?? ''
      const described = await client.workflowService.describeWorkflowExecution({
        namespace: 'default',
        execution: { workflowId, runId },
      })
      text += await textIn([await client.workflow.getHandle(workflowId, runId).fetchHistory(), described], codec)
    }
    await connection.close()
    // What it should see, it sees: an input, a result, a memo, a failure.
    for (const known of [`"tablet":"${replica.alias}"`, 'storedBytes', 'SignatureDoesNotMatch'])
      expect(text).toContain(known)
    expect(secretsIn(text)).toEqual([])
    expect(secretsIn(readFileSync(join(directory, 'temporal', 'temporal.db'), 'latin1'))).toEqual([])
  })

  test('is in a file that is left, but for those that are meant to hold it, and the tables of MySQL', () => {
    const isMeant = (path: string) =>
      /\.(password|key)$/.test(path) || (/\/(data|binlog|relay)\//.test(path) && !path.includes('/.tabletkeeper/'))
    const found = filesBelow(directory)
      .filter((path) => !isMeant(path))
      .flatMap((path) => secretsIn(readFileSync(path, 'latin1')).map((secret) => ({ path, secret })))
    expect(found).toEqual([])
  })

  test('is in a file that others than its owner may read, not even for a moment', () => {
    const seen = [...watched.modes].map(([name, modes]) => ({ name, modes: [...modes].map((mode) => mode & 0o777) }))
    expect(seen.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['.', 'lease.json', 'first-start.sql', 'swap-journal.json']),
    )
    expect(seen.find(({ name }) => name === '.')).toEqual({ name: '.', modes: [0o700] })
    expect(seen.filter(({ modes }) => modes.some((mode) => (mode & 0o077) !== 0))).toEqual([])
  })
})

/** Regular files, sockets and the like left out. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
