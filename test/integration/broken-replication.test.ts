import { ApplicationFailure } from '@temporalio/common'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { BackupName } from '../../model/backup-name.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually } from './assertions.ts'
import { type Fault, withFaults } from './faults.ts'
import { askHealth } from './health.ts'
import { awaitReturned, startBackup } from './held-tablet.ts'
import { expectNothingLeft, failureOf, startRestore } from './restored.ts'
import { type Running, startWorld, type World } from './world.ts'

describe('a tablet whose applier has failed, which only a person or a restore repairs,', () => {
  let world: World
  let replica: SampleTablet
  let agent: Running | undefined
  let good: BackupName

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    await startAgent()
    good = (await (await startBackup(world, replica.alias)).result()).backup
    await agent?.stop()
  })
  afterEach(async () => {
    await agent?.stop()
    agent = undefined
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function startAgent(...faults: Fault[]): Promise<void> {
    agent = await world.startAgent(replica.alias, { interceptors: withFaults(...faults) })
  }

  /** The applier will not be able to make this table; no transaction tells of it. */
  async function obstruct(table: string): Promise<void> {
    await replica.query('SET GLOBAL super_read_only = OFF')
    await using connection = await replica.connect()
    await connection.query('SET sql_log_bin = 0')
    await connection.query(`CREATE TABLE commerce.${table} (id INT PRIMARY KEY)`)
    await replica.query('SET GLOBAL super_read_only = ON')
  }

  async function expectUnserved(): Promise<void> {
    await awaitReturned(replica)
    await expectNothingLeft(replica)
    await eventually(
      () => askHealth(world, replica.alias),
      ({ status, type, reason }) => status === 503 && type === 'REPLICA' && reason.includes('does not run'),
    )
  }

  test('since it was stopped for a backup is given back unserved, and the backup is published', async () => {
    await obstruct('clash')
    const happens = async () => {
      await world.shard.primary.query('CREATE TABLE commerce.clash (id INT PRIMARY KEY)')
    }
    await startAgent({ at: 'copyFiles', when: 'before', happens })
    const { backup, warnings } = await (await startBackup(world, replica.alias)).result()
    expect(warnings).toContainEqual({
      about: replica.alias,
      message: expect.stringMatching(/^it is unserved: replication on .* does not run .*clash/),
    })
    expect(await world.stored()).toContainEqual({ name: backup, complete: true })
    await expectUnserved()
  })

  test('is given back as it was when its restore fails, and the next restore repairs it', async () => {
    const happens = () => {
      throw ApplicationFailure.nonRetryable('made to fail', 'CorruptBackup')
    }
    await startAgent({ at: 'downloadFiles', when: 'before', happens })
    const failure = await failureOf(await startRestore(world, replica))
    expect(failure).toMatchObject({ type: 'CorruptBackup', step: 'downloadFiles' })
    await expectUnserved()

    const run = await startRestore(world, replica, { backup: good })
    expect(await run.result()).toMatchObject({ type: 'REPLICA' })
  })
})
