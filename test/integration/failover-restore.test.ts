import { ApplicationFailure } from '@temporalio/common'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { BackupResult, RestoreResult } from '../../model/runs.ts'
import { awaitReplicated } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually } from './assertions.ts'
import { type Fault, gateAt, withFaults } from './faults.ts'
import { askHealth } from './health.ts'
import { awaitReturned, startBackup } from './held-tablet.ts'
import { endBinlogDumps, promote } from './promotion.ts'
import { expectNothingLeft, failureOf, startRestore } from './restored.ts'
import { type Running, startWorld, type World } from './world.ts'

describe('a failover in the middle of a restore', () => {
  let world: World
  let agent: Running | undefined
  let backup: BackupResult
  let primary: SampleTablet
  let target: SampleTablet
  let another: SampleTablet

  beforeEach(async () => {
    world = await startWorld({ replicas: 2 })
    await world.startControl()
    primary = world.shard.primary
    const [first, second] = world.shard.replicas
    if (first === undefined || second === undefined) throw new Error('the shard has no two replicas')
    target = first
    another = second
    agent = await world.startAgent(target.alias)
    backup = await (await startBackup(world, target.alias)).result()
    await agent.stop()
  })
  afterEach(async () => {
    await agent?.stop()
    agent = undefined
    await world?.[Symbol.asyncDispose]()
  })

  async function restoreWith(fault: Fault): Promise<RunHandle<RestoreResult>> {
    agent = await world.startAgent(target.alias, { interceptors: withFaults(fault) })
    return await startRestore(world, target)
  }

  /** The tool takes the tablet, which catches up, for any replica; applications write to it at once. */
  async function promoteTarget(): Promise<void> {
    await promote(target, [primary, another], world.shard.replicationAccount)
    await endBinlogDumps(primary)
    await target.query('CREATE TABLE commerce.since (id INT PRIMARY KEY)')
    await target.query('INSERT INTO commerce.since VALUES (1)')
  }

  async function expectPrimary(): Promise<void> {
    await awaitReturned(target)
    const [mode] = await target.query<object>(
      'SELECT @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly',
    )
    expect(mode).toEqual({ readOnly: 0, superReadOnly: 0 })
    expect(await target.query('SHOW REPLICA STATUS')).toEqual([])
    await target.query('INSERT INTO commerce.since VALUES (2)')
    expect(await target.query('SELECT id FROM commerce.since')).toHaveLength(2)
    await awaitReplicated(another, target)
    await eventually(
      () => askHealth(world, target.alias),
      ({ status, type }) => status === 200 && type === 'PRIMARY',
    )
    await expectNothingLeft(target)
  }

  test('that makes the tablet the primary: the run completes, and it stays the primary', async () => {
    const happens = async (): Promise<void> => {
      await promoteTarget()
      throw ApplicationFailure.retryable('replication stopped while it caught up')
    }
    const run = await restoreWith({ at: 'rejoin', when: 'after', happens })
    expect(await run.result()).toMatchObject({ backup: backup.backup, type: 'PRIMARY', lagSeconds: null })
    await expectPrimary()
  })

  test('that makes the tablet the primary, and the run is terminated: what was written since stays', async () => {
    const gate = gateAt('rejoin', 'after')
    const run = await restoreWith(gate.fault)
    await gate.reached
    await promoteTarget()
    await world.client.workflow.getHandle(run.workflowId, run.runId).terminate('tried by a test')
    gate.open()
    await expectPrimary()
  })

  test('to a tablet that lacks what the replaced data have: the old data come back, and are not pointed at it', async () => {
    await another.query('STOP REPLICA')
    await primary.query('CREATE TABLE commerce.lost (id INT PRIMARY KEY)')
    await awaitReplicated(target, primary)
    const happens = async (): Promise<void> => {
      await promote(another, [primary], world.shard.replicationAccount)
      await primary.stop()
    }
    const failure = await failureOf(await restoreWith({ at: 'downloadFiles', when: 'before', happens }))
    expect(failure).toMatchObject({
      type: 'Refused',
      step: 'rejoin',
      message: expect.stringContaining(`transactions that the primary ${another.alias} lacks now`),
      suppressed: [expect.stringMatching(/^the tablet is unserved: .* is not pointed at the new primary/)],
    })
    await awaitReturned(target)
    expect(await target.query(`SHOW TABLES FROM commerce LIKE 'lost'`)).toHaveLength(1)
    const [status] = await target.query<object>('SHOW REPLICA STATUS')
    expect(status).toMatchObject({ Source_Port: primary.port, Replica_IO_Running: 'No', Replica_SQL_Running: 'No' })
    await eventually(
      () => askHealth(world, target.alias),
      ({ status: code, reason }) => code === 503 && reason.includes('replication does not run'),
    )
    await expectNothingLeft(target)
  })
})
