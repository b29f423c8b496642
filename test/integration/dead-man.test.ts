import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TabletAlias } from '../../model/alias.ts'
import type { Config } from '../../model/config.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { eventually, expectInService } from './assertions.ts'
import { type Fault, gateAt, withFaults } from './faults.ts'
import { askHealth, openClient } from './health.ts'
import { awaitReturned, startBackup, terminate } from './held-tablet.ts'
import { type Running, startWorld, type World } from './world.ts'

let world: World
let replica: SampleTablet
let alias: TabletAlias
let control: Running
let temporalAgain: TemporalServer | undefined
const agents: Running[] = []

beforeAll(async () => {
  world = await startWorld()
  control = await world.startControl()
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
  alias = first.alias
})
afterEach(async () => {
  await Promise.all(agents.splice(0).map((one) => one.stop()))
})
afterAll(async () => {
  await control?.stop()
  // Its database is in the world's directory.
  await temporalAgain?.stop()
  await world?.[Symbol.asyncDispose]()
})

/** At the same address, with the database that is in `directory`, or a new one. */
async function startTemporalAgain(directory: string): Promise<void> {
  const port = Number(world.temporal.address.split(':')[1])
  temporalAgain = await startTemporal({ directory: join(world.directory, directory), port })
}

/** The tablet is back, and load balancers hear of it. */
async function awaitServed(): Promise<void> {
  await awaitReturned(replica)
  await expectInService(world, replica)
  await eventually(
    () => askHealth(world, alias),
    ({ status }) => status === 200,
  )
}

describe("the dead man's timeout returns a tablet on which no step is at work", () => {
  /** Longer than Temporal takes from one step to the next, during which no step is at work either. */
  const DEAD_MAN = 15_000 as Milliseconds

  async function startDeadManAgent(backup: Partial<Config['backup']>, ...faults: Fault[]): Promise<void> {
    const config = world.config()
    const impatient = {
      ...config,
      backup: { ...config.backup, ...backup },
      agent: { ...config.agent, deadManTimeout: DEAD_MAN },
    }
    agents.push(await world.startAgent(alias, { config: impatient, interceptors: withFaults(...faults) }))
  }

  test('though its run is open: no control runs', async () => {
    const stopped = gateAt('stopMysqld', 'after')
    await startDeadManAgent({}, stopped.fault)
    const run = await startBackup(world, alias)
    await stopped.reached
    await control.stop()
    stopped.open()
    await awaitReturned(replica)
    await expectInService(world, replica)
    expect((await run.status()).state).toBe('running')
    control = await world.startControl()
    await expect(run.result()).rejects.toMatchObject({ type: 'FenceBroken', returnedBy: 'reconciler' })
    await expectInService(world, replica)
  })

  test('but not while a step is at work for longer than that', async () => {
    const drainTimeout = (2 * DEAD_MAN) as Milliseconds
    await startDeadManAgent({ drainTimeout })
    const client = await openClient(world, replica)
    const run = await startBackup(world, alias)
    await run.result()
    await client.lastAnswer
    const { done } = await run.progress()
    expect(done.find(({ step }) => step === 'takeOutOfService')?.seconds).toBeGreaterThan(drainTimeout / 1000)
    await expectInService(world, replica)
  })

  test('though Temporal answers nothing', async () => {
    const stopped = gateAt('stopMysqld', 'after')
    await startDeadManAgent({}, stopped.fault)
    const run = await startBackup(world, alias)
    await stopped.reached
    process.kill(world.temporal.pid, 'SIGSTOP')
    try {
      await awaitServed()
    } finally {
      process.kill(world.temporal.pid, 'SIGCONT')
      stopped.open()
    }
    await expect(run.result()).rejects.toMatchObject({ type: 'FenceBroken', returnedBy: 'reconciler' })
    await expectInService(world, replica)
  })

  test('though Temporal is down', async () => {
    const stopped = gateAt('stopMysqld', 'after')
    await startDeadManAgent({}, stopped.fault)
    const run = await startBackup(world, alias)
    await stopped.reached
    await world.temporal.kill()
    await awaitServed()
    await startTemporalAgain('temporal')
    stopped.open()
    await terminate(world, run)
    await expectInService(world, replica)
  })
})

test('a tablet is returned when the server has lost its database and with it the run', async () => {
  const stopped = gateAt('stopMysqld', 'after')
  agents.push(await world.startAgent(alias, { interceptors: withFaults(stopped.fault) }))
  await startBackup(world, alias)
  await stopped.reached
  await (temporalAgain ?? world.temporal).kill()
  await startTemporalAgain('another-database')
  // The dead man's timeout, a quarter of an hour, is longer than this waits.
  await awaitReturned(replica)
  stopped.open()
  await awaitServed()
})
