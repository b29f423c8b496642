import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { Config } from '../../model/config.ts'
import { agentQueue } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { runAgent } from '../../workers/agent.ts'
import { readPollers } from '../../workers/pollers.ts'
import { makeCertificates, NO_OPENSSL } from '../security/certificates.ts'
import { startTlsFront } from '../security/tls-front.ts'
import { eventually } from './assertions.ts'
import { startWorld, type World } from './world.ts'

let world: World
let replica: SampleTablet
let lines: string[] = []
let heard: (line: string) => void = () => undefined
const hear = (line: string): void => {
  lines.push(line)
  heard(line)
}
// One for all: the SDK's runtime writes to the first in this process.
const log = pino({ level: 'debug' }, { write: hear })

beforeAll(async () => {
  world = await startWorld()
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})
beforeEach(() => {
  lines = []
  heard = () => undefined
  return () => vi.unstubAllEnvs()
})

function withDefaultsFile(config: Config, { alias }: SampleTablet, defaultsFile: string): Config {
  const tablets = new Map(config.shards.get(world.shard.shard))
  const own = tablets.get(alias)
  if (own === undefined) throw new Error(`${alias} is not configured`)
  tablets.set(alias, { ...own, mysql: { ...own.mysql, defaultsFile } })
  return { ...config, shards: new Map([[world.shard.shard, tablets]]) }
}

test('a tablet that cannot be opened keeps no other from its agent, and is looked after when it can', async () => {
  const { primary } = world.shard
  const configured = world.config().shards.get(world.shard.shard)?.get(replica.alias)?.mysql.defaultsFile ?? ''
  const later = join(world.directory, 'later.cnf')
  const agent = await world.startAgent(primary.alias, {
    tablets: [replica.alias, primary.alias],
    config: withDefaultsFile(world.config(), replica, later),
    lookAgainAfter: 500,
    log,
  })
  const other = world.health(primary.alias).replace(primary.alias, replica.alias)
  const answerOf = async (url: string) => {
    const response = await fetch(url)
    return { status: response.status, body: await response.text() }
  }
  await eventually(
    () => answerOf(world.health(primary.alias)),
    ({ status }) => status === 200,
  )
  const { status, body } = await answerOf(other)
  expect(status).toBe(503)
  expect(body).toContain(`${replica.alias} is not looked after: `)
  expect(lines.filter((line) => line.includes('"event":"not opened"')).join('')).toContain(`"level":50,`)
  await symlink(configured, later)
  await eventually(
    () => answerOf(other),
    (answer) => answer.status === 200,
  )
  await eventually(
    () => readPollers(world.client, agentQueue(replica.alias)),
    (pollers) => pollers.length > 0,
  )
  await agent.stop()
})

test('an agent none of whose tablets can be opened says why, and ends', async () => {
  const config = withDefaultsFile(world.config(), replica, join(world.directory, 'nowhere.cnf'))
  await expect(world.startAgent(replica.alias, { config, log })).rejects.toThrow('nowhere.cnf')
})

test('an agent that is told to end while it starts takes no task, and ends', async () => {
  const stopping = new AbortController()
  const interceptors = {
    // Read when its worker is about to be created.
    get activity() {
      stopping.abort()
      return []
    },
  }
  const config = world.config()
  await runAgent({ config, tablets: [replica.alias], signal: stopping.signal, log, interceptors })
  expect(stopping.signal.aborted).toBe(true)
  expect(lines.join('')).not.toContain('"event":"ready"')
})

test.skipIf(NO_OPENSSL !== undefined)(
  'an agent whose worker Temporal ends goes on, and takes tasks when it may again',
  async () => {
    const certificates = await makeCertificates(join(world.directory, 'keyed'))
    const API_KEY = 'the key'
    let calls = (): number => 0
    let isRefused = true
    const admits = {
      by: 'API key',
      // What it asks when it connects is answered, so that it is its worker that fails.
      get key() {
        return calls() < 2 || !isRefused ? API_KEY : 'another'
      },
    } as const
    await using front = await startTlsFront({ upstream: world.temporal.address, certificates, admits })
    calls = () => front.calls
    const answers: number[] = []
    heard = (line) => {
      if (!line.includes('"event":"worker failed"')) return
      // It lives on by then: nobody else answers there.
      void fetch(world.health(replica.alias)).then(({ status }) => {
        answers.push(status)
        isRefused = false
      })
    }
    vi.stubEnv('TEMPORAL_ADDRESS', front.address)
    vi.stubEnv('TEMPORAL_API_KEY', API_KEY)
    vi.stubEnv('TEMPORAL_TLS_SERVER_CA_CERT_PATH', certificates.authority)
    vi.stubEnv('TEMPORAL_TLS_SERVER_NAME', 'localhost')
    const agent = await world.startAgent(replica.alias, { log })
    expect(lines.join('')).toContain('no tasks are taken, next try in 5')
    expect(answers).toHaveLength(1)
    await agent.stop()
  },
)
