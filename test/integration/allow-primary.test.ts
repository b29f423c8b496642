import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startCli } from '../client/command-line.ts'
import { eventually } from './assertions.ts'
import { type CrashingAgent, SLOW, startCrashingAgent } from './crashing-agent.ts'
import { gateAt, withFaults } from './faults.ts'
import { askHealth, watchHealth } from './health.ts'
import { awaitReturned, awaitStep, leaseOf, startBackup, terminate } from './held-tablet.ts'
import { runKeeper } from './keeper-command.ts'
import { healthAt } from './restored.ts'
import { QUICK, startWorld, type World } from './world.ts'

describe('the backup of a shard that has one server', () => {
  let world: World
  let primary: SampleTablet
  const processes: CrashingAgent[] = []

  beforeAll(async () => {
    world = await startWorld({ replicas: 0 })
    await world.startControl()
    primary = world.shard.primary
  })
  afterEach(async () => {
    await Promise.all(processes.splice(0).map((one) => one.kill()))
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** How it takes writes, and what `SET PERSIST` has left. */
  async function writing() {
    const [mode] = await primary.query<object>(
      `SELECT @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly, @@global.event_scheduler AS events,
        @@global.max_connect_errors AS setByHand, @@global.gtid_executed AS gtids`,
    )
    return {
      mode,
      persisted: await primary.query<object>(
        'SELECT variable_name AS name, variable_value AS value FROM performance_schema.persisted_variables',
      ),
      replication: await primary.query<object>('SHOW REPLICA STATUS'),
    }
  }

  async function expectWritable(before: Awaited<ReturnType<typeof writing>>, health: string): Promise<void> {
    await awaitReturned(primary)
    expect(await writing()).toEqual(before)
    expect(before.mode).toMatchObject({ readOnly: 0, superReadOnly: 0 })
    await eventually(
      () => healthAt(health),
      ({ status, text }) => status === 200 && JSON.parse(text).type === 'PRIMARY',
    )
    await primary.query("INSERT INTO commerce.customer (email, name, note, since) VALUES ('a', 'b', 'c', NOW())")
  }

  async function startProcess(yaml = QUICK): Promise<CrashingAgent> {
    const agent = await startCrashingAgent(world, primary, yaml)
    processes.push(agent)
    return agent
  }

  test('is refused, naming the switch, unless somebody allows it', async () => {
    await startProcess()
    const refused = await runKeeper(world, 'backup', primary.alias)
    expect(refused.status).toBe(20)
    expect(refused.stderr).toContain(`${primary.alias} takes writes (read_only=OFF, 0 replicas connected)`)
    expect(refused.stderr).toContain('--allow-primary')
    const ofShard = await runKeeper(world, 'backup', world.shard.shard)
    expect(ofShard).toMatchObject({ status: 20, stderr: expect.stringContaining('its type is PRIMARY') })
  })

  test('stands at what was executed; then it takes writes as it did, settings made by hand included', async () => {
    await primary.query('SET GLOBAL max_connect_errors = 77')
    const agent = await world.startAgent(primary.alias)
    const before = await writing()
    const pid = await primary.pid()
    const watched = watchHealth(world, primary.alias)
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    const result = await run.result()
    const answers = await watched.stop()
    expect(result).toMatchObject({ type: 'PRIMARY', lagSeconds: null, warnings: [] })
    expect(result.position.replace('MySQL56/', '')).toBe(
      String(Reflect.get(before.mode ?? {}, 'gtids')).replaceAll('\n', ''),
    )
    expect(await primary.pid()).not.toBe(pid)
    await expectWritable(before, world.health(primary.alias))
    const seen = new Set(answers.map(({ status, type }) => `${status} ${type}`))
    expect([...seen].filter((answer) => answer.startsWith('200'))).toEqual(['200 PRIMARY'])
    expect([...seen]).toContain('503 BACKUP')
    await agent.stop()
  })

  test('works from the command line, for the shard, and where its host allows it always', async () => {
    const agent = await startProcess()
    const before = await writing()
    expect((await runKeeper(world, 'backup', world.shard.shard, '--allow-primary')).status).toBe(0)
    await expectWritable(before, agent.health)
    await agent.stop()
    const allowing = await startProcess(QUICK.replace('{', '{ allowPrimary: true,'))
    const again = await writing()
    await (await startBackup(world, primary.alias)).result()
    await expectWritable(again, allowing.health)
  })

  test('goes on when its agent is killed in mid-copy and started again', async () => {
    const agent = await startProcess(SLOW)
    const before = await writing()
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    await awaitStep(primary, 'copyFiles')
    await agent.kill()
    expect(await primary.pid()).toBeUndefined()
    const next = await startProcess()
    expect(await run.result()).toMatchObject({ type: 'PRIMARY' })
    await expectWritable(before, next.health)
  })

  test('that is terminated in mid-copy, its agent killed: the next agent gives the shard its writes back', async () => {
    const agent = await startProcess(SLOW)
    const before = await writing()
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    await awaitStep(primary, 'copyFiles')
    await agent.kill()
    await terminate(world, run)
    expect(await leaseOf(primary)).toMatchObject({ returnTo: 'PRIMARY', type: 'BACKUP' })
    const next = await startProcess()
    await expectWritable(before, next.health)
  })

  test('whose host is started again: a mysqld that starts by itself takes no writes before the agent is there', async () => {
    const agent = await startProcess(SLOW)
    const before = await writing()
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    await awaitStep(primary, 'copyFiles')
    await agent.kill()
    await primary.start()
    const [mode] = await primary.query<object>('SELECT @@global.super_read_only AS superReadOnly')
    expect(mode).toEqual({ superReadOnly: 1 })
    const next = await startProcess()
    await expect(run.result()).rejects.toMatchObject({ type: 'FenceBroken', step: 'copyFiles' })
    await expectWritable(before, next.health)
  })

  test('is given its writes back by a person, without Temporal and agent', async () => {
    const agent = await startProcess(SLOW)
    const before = await writing()
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    await awaitStep(primary, 'copyFiles')
    await agent.kill()
    const returning = startCli(['agent', 'return', primary.alias], {
      TABLETKEEPER_CONFIG: world.configPath,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    })
    expect(await returning.ended).toMatchObject({ status: 0, stdout: `returned  ${primary.alias}  type PRIMARY\n` })
    expect(await writing()).toEqual(before)
    await terminate(world, run)
  })

  test('that is cancelled, or fails, in mid-copy gives it back as well', async () => {
    const stopped = gateAt('copyFiles')
    const agent = await world.startAgent(primary.alias, { interceptors: withFaults(stopped.fault) })
    const before = await writing()
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    await stopped.reached
    expect(await askHealth(world, primary.alias)).toMatchObject({ status: 503, type: 'BACKUP' })
    await run.cancel()
    stopped.open()
    await expect(run.result()).rejects.toThrow()
    await expectWritable(before, world.health(primary.alias))
    await agent.stop()
  })
})

describe('a primary that has another tablet', () => {
  let world: World
  let primary: SampleTablet
  let replica: SampleTablet

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    primary = world.shard.primary
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('is not stopped while that one could be backed up', async () => {
    const agent = await world.startAgent(primary.alias)
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    await expect(run.result()).rejects.toMatchObject({
      type: 'Refused',
      step: 'preflight',
      message: `${primary.alias} is the primary of commerce/0, and ${replica.alias} could be backed up instead`,
    })
    await agent.stop()
  })

  /** An emergency failover: what the new primary had not got yet is lost, and is in the backup. */
  test('does not come back as a second one, and its backup is one that no restore chooses, when another takes over', async () => {
    const replicaAgent = await world.startAgent(replica.alias)
    const good = await (await startBackup(world, replica.alias)).result()
    await replicaAgent.stop()
    await replica.query('STOP REPLICA')
    await primary.query('CREATE TABLE commerce.lost_by_the_failover (id INT PRIMARY KEY)')
    const promote = async (): Promise<void> => {
      await replica.query('RESET REPLICA ALL')
      await replica.query('SET GLOBAL read_only = OFF')
      await replica.query('CREATE TABLE commerce.after_the_failover (id INT PRIMARY KEY)')
    }
    const agent = await world.startAgent(primary.alias, {
      interceptors: withFaults({ at: 'copyFiles', when: 'before', happens: promote }),
    })
    const run = await startBackup(world, primary.alias, { allowPrimary: true })
    const result = await run.result()
    expect(result).toMatchObject({ type: 'REPLICA' })
    expect(result.warnings).toContainEqual(
      expect.objectContaining({ about: result.backup, message: expect.stringContaining('no restore chooses it') }),
    )
    await expectReadOnly()
    await eventually(
      () => askHealth(world, primary.alias),
      ({ status, reason }) => status === 503 && reason === 'replication is not configured',
    )

    const listed = JSON.parse((await runKeeper(world, 'list', 'commerce/0', '--json')).stdout).backups
    expect(listed).toMatchObject([
      { name: good.backup, errant: null },
      { name: result.backup, state: 'complete', errant: expect.stringMatching(/^MySQL56\/.*:\d+$/) },
    ])
    const offline = await runKeeper(world, 'restore', primary.alias, '--offline', '--json')
    expect(JSON.parse(offline.stdout)).toMatchObject({ backup: { name: good.backup } })
    const plan = await runKeeper(world, 'restore', primary.alias, '--dry-run', '--json')
    expect(JSON.parse(plan.stdout)).toMatchObject({ backup: { name: good.backup } })
    await agent.stop()

    // Its my.cnf says nothing of it, and nobody has decided yet what becomes of it.
    await primary.stop()
    await primary.start()
    await expectReadOnly()
  })

  async function expectReadOnly(): Promise<void> {
    const [mode] = await primary.query<object>('SELECT @@global.read_only AS r, @@global.super_read_only AS s')
    expect(mode).toEqual({ r: 1, s: 1 })
  }
})
