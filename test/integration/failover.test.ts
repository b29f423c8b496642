import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { StepName } from '../../model/runs.ts'
import { awaitReplicated } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { readEntry } from '../../storage/catalogue/catalogue.ts'
import { FileStore } from '../../storage/file/file.ts'
import { StandaloneDriver } from '../../tablets/standalone/driver.ts'
import { eventually } from './assertions.ts'
import { type Fault, gateAt, withFaults } from './faults.ts'
import { askHealth } from './health.ts'
import { awaitReturned, startBackup } from './held-tablet.ts'
import { endBinlogDumps, promote as promoteOver } from './promotion.ts'
import { startRestore } from './restored.ts'
import { type Running, startWorld, type World } from './world.ts'

describe('a failover in the middle of a backup', () => {
  let world: World
  let agent: Running | undefined
  /** As it is now: each test leaves other roles behind. */
  let primary: SampleTablet
  let replicas: readonly SampleTablet[]

  beforeAll(async () => {
    world = await startWorld({ replicas: 2 })
    await world.startControl()
    primary = world.shard.primary
    replicas = world.shard.replicas
  })
  afterEach(async () => {
    await agent?.stop()
    agent = undefined
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function promote(tablet: SampleTablet): Promise<void> {
    const others = [primary, ...replicas].filter((other) => other !== tablet)
    await promoteOver(tablet, others, world.shard.replicationAccount)
    await endBinlogDumps(primary)
    primary = tablet
    replicas = others
  }

  async function backupWhile(fault: Pick<Fault, 'at' | 'when'>, promoted: 'it' | 'another') {
    const [target, another] = replicas
    if (target === undefined || another === undefined) throw new Error('the shard has no two replicas')
    const happens = () => promote(promoted === 'it' ? target : another)
    agent = await world.startAgent(target.alias, { interceptors: withFaults({ ...fault, happens }) })
    const pid = await target.pid()
    return { target, pid, run: await startBackup(world, target.alias) }
  }

  /** It takes writes, is served from as the primary, and the others replicate from it. */
  async function expectPrimary(tablet: SampleTablet): Promise<void> {
    await awaitReturned(tablet)
    const [mode] = await tablet.query<object>(
      'SELECT @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly',
    )
    expect(mode).toEqual({ readOnly: 0, superReadOnly: 0 })
    expect(await tablet.query('SHOW REPLICA STATUS')).toEqual([])
    await eventually(
      () => askHealth(world, tablet.alias),
      ({ status, type }) => status === 200 && type === 'PRIMARY',
    )
    await tablet.query("INSERT INTO commerce.customer (email, name, note, since) VALUES ('a', 'b', 'c', NOW())")
    for (const other of replicas) await awaitReplicated(other, tablet)
  }

  test.each([
    ['takeTablet', 'before'],
    ['stopReplication', 'before'],
    ['stopMysqld', 'before'],
  ] as const)(
    'that makes the tablet the primary, at %s: it is refused there and goes on as the primary',
    async (at, when) => {
      const { target, pid, run } = await backupWhile({ at, when }, 'it')
      await expect(run.result()).rejects.toMatchObject({
        type: 'Refused',
        step: at satisfies StepName,
        message: expect.stringMatching(
          new RegExp(`^${target.alias} takes writes .*: it is the primary of commerce/0$`),
        ),
      })
      expect(await target.pid()).toBe(pid)
      await expectPrimary(target)
    },
  )

  test('that makes the tablet the primary while its replication is waited for: it is not made read-only again', async () => {
    const [target] = replicas
    if (target === undefined) throw new Error('the shard has no replica')
    const { stopReplication } = StandaloneDriver.prototype
    const stopping = vi.spyOn(StandaloneDriver.prototype, 'stopReplication')
    onTestFinished(() => stopping.mockRestore())
    stopping.mockImplementationOnce(async function (this: StandaloneDriver, signal) {
      await stopReplication.call(this, signal)
      await promote(target)
    })
    agent = await world.startAgent(target.alias)
    const pid = await target.pid()
    const run = await startBackup(world, target.alias)
    await expect(run.result()).rejects.toMatchObject({
      type: 'Refused',
      step: 'stopReplication',
      message: expect.stringContaining(`${target.alias} takes writes`),
    })
    expect(await target.pid()).toBe(pid)
    await expectPrimary(target)
  })

  test.each([
    ['is refused before its mysqld is stopped', undefined],
    ['goes on where that was allowed', ['min-serving']],
  ] as const)('that takes away what was to serve meanwhile: a backup %s', async (_what, force) => {
    const [target, another] = replicas
    if (target === undefined || another === undefined) throw new Error('the shard has no two replicas')
    const happens = async (): Promise<void> => {
      await another.query('STOP REPLICA')
    }
    onTestFinished(async () => {
      await another.query('START REPLICA')
    })
    const config = world.config()
    agent = await world.startAgent(target.alias, {
      config: { ...config, backup: { ...config.backup, minServing: 2 } },
      interceptors: withFaults({ at: 'stopMysqld', when: 'before', happens }),
    })
    const pid = await target.pid()
    const run = await world.keeper.backup({ ...world.input(target.alias), ...(force && { force }) })
    if (force === undefined) {
      await expect(run.result()).rejects.toMatchObject({
        type: 'Refused',
        step: 'stopMysqld',
        message: `${target.alias} cannot be spared: only ${primary.alias} of commerce/0 would serve, and backup.minServing is 2`,
      })
      expect(await target.pid()).toBe(pid)
    } else expect(await run.result()).toMatchObject({ type: 'REPLICA' })
    await awaitReturned(target)
  })

  test('that makes the tablet the primary when mysqld runs again: the run completes, and it stays the primary', async () => {
    const { target, run } = await backupWhile({ at: 'startMysqld', when: 'after' }, 'it')
    expect(await run.result()).toMatchObject({ type: 'PRIMARY', lagSeconds: null })
    await expectPrimary(target)
  })

  test('that makes another tablet the primary: the tablet replicates from that one', async () => {
    const { target, run } = await backupWhile({ at: 'copyFiles', when: 'before' }, 'another')
    expect(await run.result()).toMatchObject({ type: 'REPLICA' })
    const [status] = await target.query<object>('SHOW REPLICA STATUS')
    expect(status).toMatchObject({ Source_Port: primary.port, Replica_IO_Running: 'Yes', Replica_SQL_Running: 'Yes' })
    await eventually(
      () => askHealth(world, target.alias),
      ({ status: code, type }) => code === 200 && type === 'REPLICA',
    )
  })

  test('that takes its time: a tablet that nobody can feed meanwhile waits, and its backup is published', async () => {
    const [target] = replicas
    if (target === undefined) throw new Error('the shard has no replica')
    const demoted = primary
    const rejoins = gateAt('rejoin')
    agent = await world.startAgent(target.alias, { interceptors: withFaults(rejoins.fault) })
    const run = await startBackup(world, target.alias)
    await rejoins.reached
    await demoted.query('SET GLOBAL super_read_only = ON')
    onTestFinished(async () => {
      await demoted.query('SET GLOBAL read_only = OFF')
    })
    rejoins.open()
    await eventually(
      () => run.status(),
      ({ activity }) => activity?.waitingFor?.startsWith('a primary: no tablet of commerce/0 takes writes') ?? false,
    )
    // Longer than five attempts, after which the run would fail.
    await delay(20_000)
    expect((await run.status()).activity).toMatchObject({ step: 'rejoin', attempt: 1 })
    await demoted.query('SET GLOBAL read_only = OFF')
    const { backup, type } = await run.result()
    expect(type).toBe('REPLICA')
    expect(await world.stored()).toContainEqual({ name: backup, complete: true })
    await awaitReturned(target)
    await awaitReplicated(target, primary)
  })

  test('in an emergency, to a tablet that lacks what the backup has: the backup is marked, and no restore chooses it', async () => {
    const [target, another] = replicas
    if (target === undefined || another === undefined) throw new Error('the shard has no two replicas')
    agent = await world.startAgent(target.alias)
    const good = await (await startBackup(world, target.alias)).result()
    await agent.stop()
    await another.query('STOP REPLICA')
    const table = `commerce.lost_${Date.now()}`
    await primary.query(`CREATE TABLE ${table} (id INT PRIMARY KEY)`)
    await awaitReplicated(target, primary)
    const left = primary
    const happens = async (): Promise<void> => {
      await promote(another)
      await left.stop()
    }
    agent = await world.startAgent(target.alias, {
      interceptors: withFaults({ at: 'copyFiles', when: 'before', happens }),
    })
    const run = await startBackup(world, target.alias)
    const { backup, warnings } = await run.result()
    expect(warnings).toContainEqual(expect.objectContaining({ about: backup }))
    const entry = await readEntry(new FileStore(world.storageRoot), world.shard.shard, backup)
    expect(entry).toMatchObject({
      state: 'complete',
      manifest: { Tabletkeeper: { Errant: expect.stringMatching(/^MySQL56\/[0-9a-f-]{36}:\d+$/) } },
    })
    // Replication would run on it, and it would differ from its primary for ever.
    expect(warnings).toContainEqual(
      expect.objectContaining({ about: target.alias, message: expect.stringContaining('is not pointed at') }),
    )
    const [unpointed] = await target.query<object>('SHOW REPLICA STATUS')
    expect(unpointed).toMatchObject({ Source_Port: left.port, Replica_IO_Running: 'No', Replica_SQL_Running: 'No' })
    await eventually(
      () => askHealth(world, target.alias),
      ({ status }) => status === 503,
    )
    // It has what its primary lacks: a backup of it would be of no use, and only a restore makes it a replica again.
    const next = await startBackup(world, target.alias)
    await expect(next.result()).rejects.toMatchObject({
      type: 'Refused',
      step: 'preflight',
      message: expect.stringContaining('has errant transactions, which its primary'),
    })
    await agent.stop()
    const config = world.config()
    agent = await world.startAgent(target.alias, {
      config: { ...config, agent: { ...config.agent, replaceData: 'always' } },
    })
    const restored = await (await startRestore(world, target)).result()
    expect(restored).toMatchObject({ backup: good.backup })
    expect(restored.warnings).toContainEqual(
      expect.objectContaining({ about: backup, message: expect.stringContaining('the primary never had') }),
    )
    expect(await target.query(`SHOW TABLES FROM commerce LIKE 'lost_%'`)).toEqual([])
    const [status] = await target.query<object>('SHOW REPLICA STATUS')
    expect(status).toMatchObject({ Source_Port: another.port, Replica_IO_Running: 'Yes', Replica_SQL_Running: 'Yes' })
  })
})
