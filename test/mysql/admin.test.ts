import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'
import { MysqlConnection } from '../../mysql/admin/admin.ts'
import { createAdminUserStatements, howToGrant, missingGrants } from '../../mysql/admin/grants.ts'
import { Secret } from '../../mysql/admin/secret.ts'
import { connectedReplicas, readServerState } from '../../mysql/admin/server-state.ts'
import { pointReplication } from '../../mysql/replication/source.ts'
import { eventually } from '../integration/assertions.ts'
import { asAgent, type TemporaryShard, temporaryShard } from './a-shard.ts'

const LOST_STATEMENT = join(import.meta.dirname, 'lost-statement.ts')
const SLEEPING = "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(100)'"
const SECRET = 'geheimnis-0123456789-0123456789-0123456789'

describe('a session on mysqld', () => {
  let sample: TemporaryShard
  beforeAll(async () => {
    sample = await temporaryShard()
  })
  afterAll(() => sample[Symbol.asyncDispose]())

  /** The failure of `attempt`, with all that a log may print of it. */
  async function failure(attempt: Promise<unknown>): Promise<{ error: TabletkeeperError; text: string }> {
    const error = await attempt.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof TabletkeeperError)) throw new Error(`not a foreseen failure: ${error}`)
    const cause = error.cause instanceof Error ? { ...error.cause, message: error.cause.message } : error.cause
    return { error, text: JSON.stringify([error.message, error.hint, error.stack, error, cause]) }
  }

  it('logs in over TCP, by caching_sha2_password, and sees the server without any privilege', async () => {
    const { port } = sample.primary
    await sample.primary.query('CREATE USER nobody IDENTIFIED WITH caching_sha2_password BY ?', [SECRET])
    await using connection = await MysqlConnection.connect(
      { host: '127.0.0.1', port },
      { user: 'nobody', password: SECRET },
    )
    const state = await readServerState(connection)
    expect(state).toMatchObject({ serverId: 100, gtidMode: 'ON', logBin: true, readOnly: false, superReadOnly: false })
    expect(state.version).toMatch(/^\d+\.\d+\.\d+$/)
    expect(state.versionString).toMatch(/^Ver \d+\.\d+\.\d+/)
    expect(state.binlogRetentionSeconds).toBe(30 * 86_400)
    expect(state.gtidExecuted.count()).toBeGreaterThan(0n)
  })

  it('logs in without TLS where the server has none', async () => {
    const bare = await sample.shard.addTablet(180, { settings: { 'tls-version': '""' } })
    await bare.initialize()
    await bare.start()
    await bare.query('CREATE USER nobody IDENTIFIED WITH caching_sha2_password BY ?', [SECRET])
    await using connection = await MysqlConnection.connect(
      { host: '127.0.0.1', port: bare.port },
      { user: 'nobody', password: SECRET },
    )
    expect((await readServerState(connection)).serverId).toBe(180)
    await bare.stop()
  })

  it('is Refused, for good, to an account that may not come in, and the password is shown nowhere', async () => {
    const { port } = sample.primary
    const { error, text } = await failure(
      MysqlConnection.connect({ host: '127.0.0.1', port }, { user: 'repl', password: SECRET }),
    )
    expect(error).toMatchObject({ type: 'Refused', retryable: false })
    expect(error.message).toContain("'repl'")
    expect(text).not.toContain('geheimnis')
  })

  it('fails with MysqldFailed, worth another try, when nobody answers', async () => {
    const { error } = await failure(
      MysqlConnection.connect({ socketPath: `${sample.primary.socket}.gone` }, { user: 'tabletkeeper' }),
    )
    expect(error).toMatchObject({ type: 'MysqldFailed', retryable: true })
  })

  it('does not keep the process when the connection is lost in mid-statement', async () => {
    const child = spawn(process.execPath, [LOST_STATEMENT, sample.primary.socket], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const said = text(child.stdout)
    const ended = once(child, 'exit')
    const sleeping = await eventually(
      () => sample.primary.query<{ id: number }>(SLEEPING),
      ([session]) => session !== undefined,
    )
    await sample.primary.query('KILL CONNECTION ?', [sleeping[0]?.id ?? 0])
    const lostAt = performance.now()
    await ended
    expect(await said).toContain('the connection was lost: SELECT SLEEP(100)')
    expect(performance.now() - lostAt).toBeLessThan(30_000)
  })

  it('refuses by name what is not granted, and names a statement that the server does not know', async () => {
    await using agent = await asAgent(sample.primary)
    const denied = await failure(agent.query('SELECT id FROM commerce.customer', z.unknown()))
    expect(denied.error).toMatchObject({ type: 'Refused', retryable: false })
    const unknown = await failure(agent.execute('SHOW SLAVE STATUS'))
    expect(unknown.error).toMatchObject({ type: 'IncompatibleVersion', hint: 'MySQL 8.4 and later are supported.' })
  })

  it('never repeats a secret of a statement, although the server does', async () => {
    await using agent = await asAgent(sample.replica)
    const { text } = await failure(agent.execute('SET GLOBAL max_connections = ?', [new Secret(SECRET)]))
    expect(text).not.toContain('geheimnis')
    expect(text).toContain('ER_WRONG_TYPE_FOR_VAR')
    const tooLong = { host: 'db1', port: 3306, user: 'repl', password: SECRET }
    const { error, text: words } = await failure(
      pointReplication(agent, tooLong, 'whole', { signal: new AbortController().signal }),
    )
    expect(error.type).toBe('InvalidConfig')
    expect(words).not.toContain('geheimnis')
  })

  it('survives the end of mysqld as an error of the next statement', async () => {
    const other = await sample.shard.addTablet(181)
    await other.initialize()
    await other.start()
    await using agent = await asAgent(other)
    await other.stop()
    const { error } = await failure(readServerState(agent))
    expect(error).toMatchObject({ type: 'MysqldFailed', retryable: true })
  })

  it('counts the replicas that read from a server', async () => {
    await using primary = await asAgent(sample.primary)
    await using replica = await asAgent(sample.replica)
    await expect.poll(() => connectedReplicas(primary)).toBe(1)
    expect(await connectedReplicas(replica)).toBe(0)
  })

  it('knows which grants are missing, and the statements that give them', async () => {
    await using agent = await asAgent(sample.primary)
    expect(await missingGrants(agent)).toEqual([])

    await using root = await sample.primary.connect()
    await root.query('SET sql_log_bin = 0')
    await root.query("CREATE USER poor@localhost IDENTIFIED BY 'x'")
    await root.query('GRANT RELOAD, PROCESS ON *.* TO poor@localhost')
    const login = () => MysqlConnection.connect({ socketPath: sample.primary.socket }, { user: 'poor', password: 'x' })
    {
      await using poor = await login()
      const missing = await missingGrants(poor)
      expect(missing).toContain('SHUTDOWN ON *.*')
      expect(missing).toContain('SELECT ON performance_schema.*')
      expect(missing).not.toContain('RELOAD ON *.*')
      const statements = howToGrant(missing, 'poor').replace('On the primary (replicas get it from there): ', '')
      for (const statement of statements.split(/;\s*/).filter((one) => one !== '')) await root.query(statement)
      expect(await missingGrants(poor)).toEqual([])
    }
    await root.query('REVOKE ALL PRIVILEGES, GRANT OPTION FROM poor@localhost')
    for (const statement of createAdminUserStatements('poor', { password: 'x' })) await root.query(statement)
    await using rich = await login()
    expect(await missingGrants(rich)).toEqual([])
  })
})
