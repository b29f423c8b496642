import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TabletAlias } from '../../model/alias.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService } from './assertions.ts'
import { type CrashingAgent, SLOW, startCrashingAgent } from './crashing-agent.ts'
import { type Fault, gateAt, withFaults } from './faults.ts'
import { awaitStep, leaseOf, startBackup, terminate } from './held-tablet.ts'
import { runKeeper, startKeeper } from './keeper-command.ts'
import { type Running, startWorld, type World } from './world.ts'

let world: World
let replica: SampleTablet
let alias: TabletAlias
const agents: Running[] = []
const processes: CrashingAgent[] = []

beforeAll(async () => {
  world = await startWorld()
  await world.startControl()
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
  alias = first.alias
})
afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.kill()))
  await Promise.all(agents.splice(0).map((one) => one.stop()))
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

async function startAgent(...faults: Fault[]): Promise<void> {
  agents.push(await world.startAgent(alias, { interceptors: withFaults(...faults) }))
}

async function startProcess(yaml?: string): Promise<CrashingAgent> {
  const agent = await startCrashingAgent(world, replica, yaml)
  processes.push(agent)
  return agent
}

describe('two runs over one tablet', () => {
  test('the second is refused, naming the first, which completes', async () => {
    const copying = gateAt('copyFiles')
    await startAgent(copying.fault)
    const first = await startBackup(world, alias)
    await copying.reached
    const second = await startBackup(world, alias)
    await expect(second.result()).rejects.toMatchObject({
      type: 'TabletBusy',
      step: 'preflight',
      message: expect.stringContaining(`${alias} is held by ${first.workflowId} (run ${first.runId}) since `),
    })
    copying.open()
    expect((await first.result()).files).toBeGreaterThan(20)
    await expectInService(world, replica)
  })

  test('of two that both passed the preflight one takes the tablet, and the way back of the other leaves it alone', async () => {
    const both = Promise.withResolvers<void>()
    let arrived = 0
    const happens = async (): Promise<void> => {
      arrived += 1
      if (arrived === 2) both.resolve()
      await both.promise
    }
    await startAgent({ at: 'takeTablet', when: 'before', always: true, happens })
    const runs = [await startBackup(world, alias), await startBackup(world, alias)]
    const outcomes = await Promise.all(runs.map((run) => run.result().catch((error: unknown) => error)))
    const [loser, ...others] = outcomes.filter((outcome) => outcome instanceof Error)
    const winner = runs[outcomes.findIndex((outcome) => !(outcome instanceof Error))]
    expect(others).toEqual([])
    expect(loser).toMatchObject({
      type: 'TabletBusy',
      step: 'takeTablet',
      returnedBy: 'nobody',
      message: expect.stringContaining(`${alias} is held by ${winner?.workflowId} (run ${winner?.runId}) since `),
    })
    await expectInService(world, replica)
  })

  test('a late step of a run that lost the tablet changes nothing for the run that has it now', async () => {
    const late = gateAt('stopMysqld')
    const held = gateAt('stopMysqld')
    await startAgent(late.fault, held.fault)
    const first = await startBackup(world, alias)
    await late.reached
    expect((await runKeeper(world, 'agent', 'return', alias)).status).toBe(0)
    const second = await startBackup(world, alias)
    await held.reached
    const [before, pid] = [await leaseOf(replica), await replica.pid()]
    expect(before).toMatchObject({ runId: second.runId, type: 'BACKUP' })

    late.open()
    await expect(first.result()).rejects.toMatchObject({
      type: 'FenceBroken',
      step: 'stopMysqld',
      returnedBy: 'person',
      message: expect.stringContaining(`${second.workflowId} (run ${second.runId}) does`),
    })
    expect(await leaseOf(replica)).toMatchObject({ token: before?.token, state: 'held', step: null })
    expect(await replica.pid()).toBe(pid)
    held.open()
    await second.result()
    await expectInService(world, replica)
  })
})

test('a lease that cannot be read keeps every run off its tablet, which is not served from, until a person has looked', async () => {
  const path = join(replica.datadir, '.tabletkeeper/lease.json')
  await startAgent()
  await agents.pop()?.stop()
  await writeFile(path, '{')
  try {
    await startAgent()
    const unreadable = { type: 'FenceBroken', message: `the lease ${path} cannot be read` }
    const run = await startBackup(world, alias)
    await expect(run.result()).rejects.toMatchObject({ ...unreadable, step: 'preflight' })
    const answer = await fetch(world.health(alias))
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status: 503,
      body: { serving: false, reason: unreadable.message },
    })
    expect(await runKeeper(world, 'agent', 'return', alias)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Look at the tablet: when mysqld and replication run, remove the file.'),
    })
  } finally {
    await rm(path)
  }
  await expectInService(world, replica)
})

describe('two agents for one tablet', () => {
  test('the second is refused and ends', async () => {
    await startAgent()
    const second = await runKeeper(world, 'agent', '--tablet', alias)
    expect(second).toMatchObject({
      status: 11,
      stdout: '',
      stderr: expect.stringContaining(
        `error TabletBusy: another agent on this host (pid ${process.pid}) looks after ${alias}`,
      ),
    })
  })
})

describe('agent return', () => {
  test('asks the agent that runs, in mid-run', async () => {
    const copying = gateAt('copyFiles')
    await startAgent(copying.fault)
    const run = await startBackup(world, alias)
    await copying.reached
    expect(await replica.pid()).toBeUndefined()
    const returned = await runKeeper(world, 'agent', 'return', alias)
    expect(returned).toMatchObject({ status: 0, stdout: expect.stringContaining(`returned  ${alias}  type REPLICA`) })
    await expectInService(world, replica)
    copying.open()
    await expect(run.result()).rejects.toMatchObject({ type: 'FenceBroken', step: 'copyFiles', returnedBy: 'person' })
    await expectInService(world, replica)
  })

  test('acts itself where no agent runs', async () => {
    const agent = await startProcess(SLOW)
    const run = await startBackup(world, alias)
    await awaitStep(replica, 'copyFiles')
    await agent.kill()
    const returned = await runKeeper(world, 'agent', 'return', alias, '--json')
    expect(returned.status).toBe(0)
    expect(JSON.parse(returned.stdout)).toMatchObject({ tablet: alias, outcome: 'returned', type: 'REPLICA' })
    await expectInService(world, replica)
    await terminate(world, run)
  })

  test('tells why the tablet cannot be returned yet, and ends when it is', async () => {
    const copying = gateAt('copyFiles')
    await startAgent(copying.fault)
    const run = await startBackup(world, alias)
    await copying.reached
    await world.shard.primary.stop()
    try {
      const returning = startKeeper(world, 'agent', 'return', alias)
      await eventually(
        async () => returning.stderr(),
        (text) =>
          text.includes(`waiting for the agent to try again, since no tablet of ${world.shard.shard} takes writes`),
      )
      expect(await leaseOf(replica)).toMatchObject({ runId: run.runId, state: 'returning' })
      await world.shard.primary.start()
      expect(await returning.ended).toMatchObject({ status: 0, stdout: expect.stringContaining(`returned  ${alias}`) })
    } finally {
      await world.shard.primary.start()
    }
    copying.open()
    await expect(run.result()).rejects.toMatchObject({ type: 'FenceBroken', returnedBy: 'person' })
    await expectInService(world, replica)
  })

  test('is refused on the host of another tablet', async () => {
    await startAgent()
    const path = join(world.directory, 'elsewhere.yaml')
    const config = world.shard.configText(world).replace(alias, 'zone1-0000000999')
    await writeFile(path, config)
    expect(await runKeeper(world, 'agent', 'return', 'zone1-999', '--config', path)).toMatchObject({
      status: 20,
      stderr: expect.stringContaining(`${replica.datadir} on this host is the data directory of ${alias}`),
    })
  })

  test('has nothing to do for a tablet that no run holds', async () => {
    const nothing = { status: 0, stdout: `nothing to do: no run holds ${alias}\n` }
    expect(await runKeeper(world, 'agent', 'return', alias)).toMatchObject(nothing)
    await startAgent()
    expect(await runKeeper(world, 'agent', 'return', alias)).toMatchObject(nothing)
  })
})
