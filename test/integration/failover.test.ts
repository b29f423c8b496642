import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { StepName } from '../../model/runs.ts'
import { replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually } from './assertions.ts'
import { type Fault, withFaults } from './faults.ts'
import { askHealth } from './health.ts'
import { awaitReturned, startBackup } from './held-tablet.ts'
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

  /** What an operator or an orchestrator does; the tablet that is held up in mysqld's absence is left out. */
  async function promote(tablet: SampleTablet): Promise<void> {
    await tablet.query('STOP REPLICA')
    await tablet.query('RESET REPLICA ALL')
    await tablet.query('SET GLOBAL read_only = OFF')
    const others = [primary, ...replicas].filter((other) => other !== tablet)
    for (const other of others) {
      if ((await other.pid()) === undefined) continue
      await other.query('STOP REPLICA').catch(() => undefined)
      await replicateFrom(other, tablet, world.shard.replicationAccount)
    }
    await endBinlogDumps(primary)
    primary = tablet
    replicas = others
  }

  /** They stay on the old primary until its next heartbeat finds nobody there. */
  async function endBinlogDumps(tablet: SampleTablet): Promise<void> {
    const dumps = await tablet.query<{ id: number }>(
      "SELECT id FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    )
    for (const { id } of dumps) await tablet.query('KILL ?', [id])
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
    for (const other of replicas) await world.shard.awaitReplicated(other)
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
})
