import { join } from 'node:path'
import { NativeConnection, Worker } from '@temporalio/worker'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BackupName } from '../../model/backup-name.ts'
import { agentQueue, type RunKind } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { expectInService, expectReturned } from '../integration/assertions.ts'
import { startWorld, type World } from '../integration/world.ts'
import type { Attack } from './hostile-workflows.ts'

const QUEUE = 'hostile'

describe('steps that somebody schedules without their preflight', () => {
  let world: World
  let replica: SampleTablet
  let backup: BackupName
  let parts: AsyncDisposableStack

  beforeAll(async () => {
    await using started = new AsyncDisposableStack()
    world = started.use(await startWorld())
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    await world.startControl()
    const agent = await world.startAgent(replica.alias)
    backup = (await (await world.keeper.backup(world.input(replica.alias))).result()).backup
    await agent.stop()
    const connection = await NativeConnection.connect({ address: world.temporal.address })
    const workflowsPath = join(import.meta.dirname, 'hostile-workflows.ts')
    const worker = await Worker.create({ connection, taskQueue: QUEUE, workflowsPath })
    const running = worker.run()
    started.defer(async () => {
      worker.shutdown()
      await running
      await connection.close()
    })
    parts = started.move()
  })
  afterAll(async () => {
    await parts?.disposeAsync()
  })

  async function attack(kind: RunKind): Promise<string> {
    const given: Attack = { tablet: replica.alias, queue: agentQueue(replica.alias), backup, kind }
    return await world.client.workflow.execute('replaceData', {
      taskQueue: QUEUE,
      workflowId: `hostile/${kind}/${Date.now()}`,
      args: [given],
    })
  }

  test.each(['never', 'redundant'] as const)('replace no data that the host keeps: %s', async (replaceData) => {
    const config = world.config()
    const agent = await world.startAgent(replica.alias, {
      config: { ...config, agent: { ...config.agent, replaceData } },
    })
    if (replaceData === 'redundant') await writeErrantly()
    const reason =
      replaceData === 'never' ? 'may not be replaced: agent.replaceData is never' : 'has transactions that the primary'
    expect(await attack('restore')).toMatch(new RegExp(`^takeTablet: ${replica.alias} ${reason}`))
    expect(await attack('backup')).toBe(`swapData: ${replica.alias} was taken for a backup: its data are not replaced`)
    // That one stopped mysqld: the agent brings it back.
    await expectReturned(replica)
    expect(await attack('bootstrap')).toMatch(/^takeTablet: .* has data: it is not bootstrapped/)
    if (replaceData === 'never') await expectInService(world, replica)
    await agent.stop()
  })

  /** A transaction that only this tablet has. */
  async function writeErrantly(): Promise<void> {
    await replica.query('SET GLOBAL super_read_only = OFF')
    await replica.query('CREATE DATABASE errant')
    await replica.query('SET GLOBAL super_read_only = ON')
  }
})
