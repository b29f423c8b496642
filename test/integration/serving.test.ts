import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../model/config.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService } from './assertions.ts'
import { withFaults } from './faults.ts'
import { type Answer, askHealth, openClient, watchHealth } from './health.ts'
import { type Running, startWorld, type World } from './world.ts'

const DRAIN = 3_000
const MAX_LAG = 3_000

describe('the health endpoint says where queries may be sent', () => {
  let world: World
  let replica: SampleTablet
  const agents: Running[] = []

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
  })
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.stop()))
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  const isServed = (answer: Answer): boolean => answer.status === 200
  const isNot = (answer: Answer): boolean => answer.status === 503
  const health = (): Promise<Answer> => askHealth(world, replica.alias)

  async function startAgent(tablet: SampleTablet, ...faults: Parameters<typeof withFaults>): Promise<void> {
    const config: Config = {
      ...world.config(),
      backup: {
        ...world.config().backup,
        drainTimeout: DRAIN as Milliseconds,
        maxLag: MAX_LAG as Milliseconds,
        catchUpTimeout: 5_000 as Milliseconds,
      },
    }
    agents.push(await world.startAgent(tablet.alias, { config, interceptors: withFaults(...faults) }))
    await eventually(() => askHealth(world, tablet.alias), isServed)
  }

  test('200 for the primary as PRIMARY and for a replica as REPLICA, 404 for a tablet of another host', async () => {
    await startAgent(replica)
    expect(await health()).toMatchObject({ status: 200, serving: true, type: 'REPLICA' })
    const elsewhere = await fetch(world.health(replica.alias).replace(replica.alias, 'zone1-0000000999'))
    expect(elsewhere.status).toBe(404)
    expect(await elsewhere.json()).toEqual({ reason: 'no such tablet here', tablets: [replica.alias] })

    await startAgent(world.shard.primary)
    expect(await askHealth(world, world.shard.primary.alias)).toMatchObject({
      status: 200,
      serving: true,
      type: 'PRIMARY',
    })
  })

  test('a backup turns it to 503 before client sessions are cut, and to 200 when the tablet has caught up', async () => {
    await startAgent(replica)
    const client = await openClient(world, replica)
    const watch = watchHealth(world, replica.alias)
    const load = await world.shard.writeLoad()
    const run = await world.keeper.backup(world.input(replica.alias))
    const cut = await client.lastAnswer
    await run.result()
    // A small machine may not keep up with it.
    await load.stop()
    await eventually(health, isServed)
    const answers = await watch.stop()

    // Under load it may lag before and after.
    const isBackup = ({ type }: Answer) => type === 'BACKUP'
    const held = answers.slice(answers.findIndex(isBackup), answers.findLastIndex(isBackup) + 1)
    expect(held.every((answer) => isBackup(answer) && isNot(answer))).toBe(true)
    expect([answers.at(0), answers.at(-1)]).toMatchObject([{ status: 200 }, { status: 200 }])
    const [first] = held
    expect(first).toMatchObject({
      serving: false,
      reason: expect.stringContaining(`type BACKUP: held by ${run.workflowId} since `),
    })
    expect(cut - (first?.at ?? cut)).toBeGreaterThan(DRAIN / 2)
    for (const { lagSeconds } of answers.filter(isServed)) expect(lagSeconds).toBeLessThanOrEqual(MAX_LAG / 1000)
    await expectInService(world, replica)
  })

  test('a tablet that got its type back before it had caught up answers 503 until it has', async () => {
    let unlock = async (): Promise<void> => {}
    const holdUp = async (): Promise<void> => {
      const connection = await replica.connect()
      // What the write load changes cannot be applied.
      await connection.query('LOCK TABLES commerce.customer READ')
      unlock = () => connection.end()
    }
    await startAgent(replica, { at: 'startMysqld', when: 'after', happens: holdUp })
    const load = await world.shard.writeLoad()
    const run = await world.keeper.backup(world.input(replica.alias))
    expect(await run.result()).toMatchObject({ type: 'REPLICA' })
    expect((await run.result()).lagSeconds).toBeGreaterThan(MAX_LAG / 1000)
    expect(await health()).toMatchObject({
      status: 503,
      type: 'REPLICA',
      reason: expect.stringMatching(/^lag [\d.]+s is more than backup\.maxLag, 3\.0s$/),
    })
    await load.stop()
    await unlock()
    const back = await eventually(health, isServed)
    expect(back.lagSeconds).toBeLessThanOrEqual(MAX_LAG / 1000)
    await expectInService(world, replica)
  })

  test('a tablet that lags answers 503 with its lag, and 200 again when it has caught up', async () => {
    await startAgent(replica)
    const load = await world.shard.writeLoad()
    const lock = await replica.connect()
    await lock.query('FLUSH TABLES WITH READ LOCK')
    expect((await eventually(health, isNot)).reason).toMatch(/^lag [\d.]+s is more than backup\.maxLag, 3\.0s$/)
    await load.stop()
    await lock.end()
    expect((await eventually(health, isServed)).reason).toMatch(/^replicates, lag [\d.]+s$/)
  })

  test.each([
    ['replication was stopped', 'STOP REPLICA', 'replication does not run (IO No, SQL No)'],
    ['receives nothing', 'STOP REPLICA IO_THREAD', 'replication does not run (IO No, SQL Yes)'],
    ['applies nothing', 'STOP REPLICA SQL_THREAD', 'replication does not run (IO Yes, SQL No)'],
  ])('a tablet that %s answers 503, and 200 again when it runs', async (_what, statement, reason) => {
    await startAgent(replica)
    await replica.query(statement)
    // The threads end one after the other.
    await eventually(health, (answer) => answer.reason === reason)
    await replica.query('START REPLICA')
    await eventually(health, isServed)
  })

  test('a mysqld that is down, or that answers nothing, is not served from', async () => {
    await startAgent(replica)
    const pid = await replica.pid()
    if (pid === undefined) throw new Error('the replica does not run')
    process.kill(pid, 'SIGSTOP')
    try {
      expect((await eventually(health, isNot)).reason).toMatch(/^mysqld (cannot be observed: |has not answered)/)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await eventually(health, isServed)
    await replica.stop()
    await eventually(health, ({ reason }) => reason === 'mysqld is down')
    await replica.start()
    await eventually(health, isServed)
  })
})
