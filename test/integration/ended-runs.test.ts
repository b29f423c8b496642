import { fileURLToPath } from 'node:url'
import { NativeConnection, Worker } from '@temporalio/worker'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { agentQueue, CONTROL_QUEUE } from '../../model/runs.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { endInterruptedSteps } from '../../workers/run-state.ts'
import { eventually, expectInService, expectNothingPublished } from './assertions.ts'
import { type Gate, gateAt, withFaults } from './faults.ts'
import { awaitReturned, leaseOf, startBackup } from './held-tablet.ts'
import { type Running, startWorld, type World } from './world.ts'

let world: World
let control: Running
let replicas: readonly SampleTablet[]
const agents: Running[] = []
const gates: Gate[] = []

beforeAll(async () => {
  world = await startWorld({ replicas: 2 })
  control = await world.startControl()
  replicas = world.shard.replicas
})
afterEach(async () => {
  for (const gate of gates.splice(0)) gate.open()
  await Promise.all(agents.splice(0).map((one) => one.stop()))
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

/** A backup of each tablet, whose mysqld is stopped; nobody goes on with it before its gate is opened. */
async function heldRuns(tablets: readonly SampleTablet[]) {
  return await Promise.all(
    tablets.map(async (tablet) => {
      const gate = gateAt('stopMysqld', 'after')
      gates.push(gate)
      const agent = await world.startAgent(tablet.alias, { interceptors: withFaults(gate.fault) })
      agents.push(agent)
      const run = await startBackup(world, tablet.alias)
      await gate.reached
      expect(await tablet.pid()).toBeUndefined()
      return { tablet, run, gate, agent }
    }),
  )
}

/** One of them, with which nobody goes on for want of a control, and whose agent waits for it for a quarter of an hour. */
async function orphanedRun(tablet: SampleTablet) {
  const [held] = await heldRuns([tablet])
  if (held === undefined) throw new Error('nothing is held')
  await control.stop()
  held.gate.open()
  return held
}

/** Gives a tablet that no step is at work on to an agent that waits for its run for seconds only. */
async function startImpatientAgent(tablet: SampleTablet): Promise<void> {
  const config = world.config()
  const agent = { ...config.agent, deadManTimeout: 3_000 as Milliseconds }
  agents.push(await world.startAgent(tablet.alias, { config: { ...config, agent } }))
}

/** Well before the dead man's timeout, which is a quarter of an hour unless a test says otherwise. */
async function expectBack(tablets: readonly SampleTablet[]): Promise<void> {
  for (const tablet of tablets) await awaitReturned(tablet)
  for (const tablet of tablets) await expectInService(world, tablet)
  await expectNothingPublished(world)
}

describe('a run that ends without a word', () => {
  test('because it was deleted', async () => {
    const [held] = await heldRuns(replicas.slice(0, 1))
    if (held === undefined) throw new Error('nothing is held')
    const { workflowId, runId } = held.run
    await world.client.workflowService.deleteWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId, runId },
    })
    await expectBack([held.tablet])
  })

  test('because everything in the namespace was terminated at once', async () => {
    const held = await heldRuns(replicas)
    const jobId = crypto.randomUUID()
    await eventually(
      async () => (await world.keeper.runs()).length,
      (open) => open === held.length,
    )
    await world.client.workflowService.startBatchOperation({
      namespace: 'default',
      visibilityQuery: "ExecutionStatus = 'Running'",
      jobId,
      reason: 'tried by a test',
      terminationOperation: { identity: 'a test' },
    })
    for (const { run } of held) {
      await eventually(
        () => run.status(),
        ({ state }) => state === 'terminated',
      )
    }
    await expectBack(replicas)
  })
})

test('a server that hangs when it is told of interrupted steps keeps no agent from its work', async () => {
  const [held] = await heldRuns(replicas.slice(0, 1))
  if (held === undefined) throw new Error('nothing is held')
  const { workflowId, runId } = held.run
  const fail = vi.spyOn(world.client.activity, 'fail').mockReturnValue(new Promise<void>(() => undefined))
  onTestFinished(() => fail.mockRestore())
  const queue = agentQueue(held.tablet.alias)
  await endInterruptedSteps(world.client, queue, { namespace: 'default', workflowId, runId }, world.log)
  expect(fail).toHaveBeenCalledOnce()
  held.gate.open()
  await held.run.cancel()
  await expectBack([held.tablet])
})

describe("the dead man's timeout", () => {
  test('returns the tablet of a run whose workflow task fails for ever', async () => {
    const [replica] = replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    const held = await orphanedRun(replica)
    await using _wrong = await startControlWithoutBackup()
    const handle = world.client.workflow.getHandle(held.run.workflowId, held.run.runId)
    await eventually(
      async () => (await handle.describe()).raw.pendingWorkflowTask?.attempt ?? 0,
      (attempt) => attempt >= 2,
    )
    expect(await leaseOf(held.tablet)).toMatchObject({ runId: held.run.runId, state: 'held' })
    await held.agent.stop()
    await startImpatientAgent(held.tablet)
    await expectBack([held.tablet])
    expect((await held.run.status()).state).toBe('running')
  })

  test('passes also where the clock was set back since', async () => {
    control = await world.startControl()
    const [, replica] = replicas
    if (replica === undefined) throw new Error('the shard has no second replica')
    const held = await orphanedRun(replica)
    await held.agent.stop()
    const lease = await leaseOf(held.tablet)
    if (lease === undefined) throw new Error('it has no lease')
    const file = new LeaseFile(`${held.tablet.datadir}/.tabletkeeper`)
    await file.replace({ ...lease, touched: new Date(Date.now() + 365 * 24 * 3_600_000).toISOString() })
    await startImpatientAgent(held.tablet)
    await expectBack([held.tablet])
    expect((await held.run.status()).state).toBe('running')
  })
})

/** What a rollout of the wrong build does. */
async function startControlWithoutBackup(): Promise<AsyncDisposable> {
  const connection = await NativeConnection.connect({ address: world.temporal.address })
  const worker = await Worker.create({
    connection,
    taskQueue: CONTROL_QUEUE,
    workflowsPath: fileURLToPath(new URL('./no-backup-workflow.ts', import.meta.url)),
  })
  const running = worker.run()
  return {
    [Symbol.asyncDispose]: async () => {
      worker.shutdown()
      await running
      await connection.close()
    },
  }
}
