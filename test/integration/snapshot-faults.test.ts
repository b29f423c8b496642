import { rm } from 'node:fs/promises'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { BackupResult } from '../../model/runs.ts'
import { parseSize } from '../../model/units.ts'
import { runCommand } from '../../sandbox/command.ts'
import { eventually, expectInService } from './assertions.ts'
import {
  awaitNoClone,
  awaitUpload,
  type CowWorld,
  clonesOf,
  expectUndone,
  NO_COW,
  ON_COW,
  startCowWorld,
} from './cow-world.ts'
import { type CrashingAgent, SLOW, startCrashingAgent } from './crashing-agent.ts'
import { type Fault, gateAt, withFaults } from './faults.ts'
import { askHealth, watchHealth } from './health.ts'
import { awaitReturned, leaseOf, startBackup, terminate } from './held-tablet.ts'
import { runKeeper } from './keeper-command.ts'
import { expectNothingLeft } from './restored.ts'
import { awaitedHeartbeats } from './run-history.ts'
import type { Running } from './world.ts'

/** What a backup from a clone goes through once its tablet is taken. */
const STEPS = [
  'takeOutOfService',
  'stopMysqld',
  'cloneFiles',
  'startMysqld',
  'rejoin',
  'uploadFiles',
  'checkBackup',
] as const

describe.skipIf(NO_COW !== undefined)(`a backup from a clone ${ON_COW}`, () => {
  let cow: CowWorld
  const agents: Running[] = []
  const processes: CrashingAgent[] = []

  beforeAll(async () => {
    cow = await startCowWorld()
  })
  afterEach(async () => {
    await Promise.all(processes.splice(0).map((one) => one.kill()))
    await Promise.all(agents.splice(0).map((one) => one.stop()))
  })
  afterAll(async () => {
    await cow?.[Symbol.asyncDispose]()
  })

  async function startAgent(...faults: Fault[]): Promise<void> {
    agents.push(await cow.world.startAgent(cow.alias, { interceptors: withFaults(...faults) }))
  }

  async function startProcess(yaml?: string): Promise<CrashingAgent> {
    const agent = await startCrashingAgent(cow.world, cow.replica, yaml)
    processes.push(agent)
    return agent
  }

  /** Leaves 50 MB free beside the tablet's data, until it is disposed of. */
  async function fillCow(): Promise<AsyncDisposable> {
    const filler = `${cow.cow.path}/filler`
    await runCommand('sh', ['-c', `fallocate -l $(( $(stat -f -c '%a * %S' ${cow.cow.path}) - 50000000 )) ${filler}`])
    return { [Symbol.asyncDispose]: () => rm(filler) }
  }

  const handleOf = (run: RunHandle<BackupResult>) => cow.world.client.workflow.getHandle(run.workflowId, run.runId)

  /** What was published is removed, so that nothing complete is left for the next test. */
  async function removePublished({ backup }: BackupResult): Promise<void> {
    const { shard } = cow.world.shard
    expect(await runKeeper(cow.world, 'remove', shard, backup, '--yes')).toMatchObject({ status: 0 })
  }

  describe('drops the clone and gives the tablet back', () => {
    test.each(STEPS)('when step %s fails after it has acted', async (step) => {
      const happens = () => {
        throw ApplicationFailure.nonRetryable(`made to fail at ${step}`, 'MysqldFailed')
      }
      await startAgent({ at: step, when: 'after', happens })
      const run = await startBackup(cow.world, cow.alias)
      await expect(run.result()).rejects.toMatchObject({ type: 'MysqldFailed', step, suppressed: [] })
      await expectUndone(cow)
    })

    test.each(STEPS)('when it is cancelled during step %s', async (step) => {
      const started = Promise.withResolvers<RunHandle<BackupResult>>()
      const happens = async () => {
        await (await started.promise).cancel()
        await new Promise((resolve) => setTimeout(resolve, 1_500))
      }
      await startAgent({ at: step, when: 'before', happens })
      const run = await startBackup(cow.world, cow.alias)
      started.resolve(run)
      await expect(run.result()).rejects.toMatchObject({ type: 'Cancelled' })
      await expectUndone(cow)
    })

    test('when it is cancelled in the middle of its upload', async () => {
      await startProcess(SLOW)
      const run = await startBackup(cow.world, cow.alias)
      await awaitUpload(run)
      await run.cancel()
      await expect(run.result()).rejects.toMatchObject({ type: 'Cancelled' })
      await expectUndone(cow)
    })

    test.each(['cloneFiles', 'uploadFiles'] as const)('when it is terminated during step %s', async (step) => {
      const gate = gateAt(step, 'after')
      await startAgent(gate.fault)
      const run = await startBackup(cow.world, cow.alias)
      await gate.reached
      await terminate(cow.world, run)
      gate.open()
      await awaitReturned(cow.replica)
      await expectUndone(cow)
    })

    test('when it is terminated in the middle of its upload, and the tablet serves all the time', async () => {
      const config = cow.world.config()
      const backup = { ...config.backup, maxRate: parseSize('10MiB') }
      agents.push(await cow.world.startAgent(cow.alias, { config: { ...config, backup } }))
      const run = await startBackup(cow.world, cow.alias)
      await awaitUpload(run)
      await eventually(
        () => askHealth(cow.world, cow.alias),
        ({ status }) => status === 200,
      )
      const health = watchHealth(cow.world, cow.alias)
      await terminate(cow.world, run)
      await awaitNoClone(cow.replica)
      const answers = await health.stop()
      expect(answers.length).toBeGreaterThan(1)
      expect(answers.filter(({ status }) => status !== 200)).toEqual([])
      await expectUndone(cow)
    })

    test('when it is reset during its upload: the run that begins there has no clone', async () => {
      const started = Promise.withResolvers<RunHandle<BackupResult>>()
      const reset = async () => {
        const run = await started.promise
        const { events } = await handleOf(run).fetchHistory()
        const scheduled = events?.find(
          (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'uploadFiles',
        )
        await cow.world.client.workflowService.resetWorkflowExecution({
          namespace: 'default',
          workflowExecution: { workflowId: run.workflowId, runId: run.runId },
          workflowTaskFinishEventId:
            scheduled?.activityTaskScheduledEventAttributes?.workflowTaskCompletedEventId ?? null,
          requestId: crypto.randomUUID(),
          reason: 'tried by a test',
        })
      }
      await startAgent({ at: 'uploadFiles', when: 'before', happens: reset })
      const run = await startBackup(cow.world, cow.alias)
      started.resolve(run)
      await run.result().catch(() => undefined)
      const next = cow.world.keeper.handle(run.workflowId)
      await eventually(
        async () => (await next.status()).state,
        (state) => state === 'failed',
      )
      await expectUndone(cow)
    })
  })

  test('a cancellation that comes when it is published changes nothing: the clone goes, the backup stays', async () => {
    const started = Promise.withResolvers<RunHandle<BackupResult>>()
    const cancel = async () => (await started.promise).cancel()
    await startAgent({ at: 'dropClone', when: 'before', happens: cancel })
    const run = await startBackup(cow.world, cow.alias)
    started.resolve(run)
    const result = await run.result()
    expect(await cow.world.stored()).toContainEqual({ name: result.backup, complete: true })
    expect(await clonesOf(cow.replica)).toEqual([])
    await removePublished(result)
  })

  test('ends when it is abandoned during the upload, and the host that comes back drops the clone', async () => {
    const agent = await startProcess(SLOW)
    const run = await startBackup(cow.world, cow.alias)
    await awaitUpload(run)
    await agent.kill()
    await run.abandon()
    // Its heartbeat has to time out first.
    await expect(run.result(AbortSignal.timeout(150_000))).rejects.toMatchObject({
      type: 'NoAgent',
      message: `abandoned: the host of ${cow.alias} is lost`,
    })
    expect(await clonesOf(cow.replica)).toHaveLength(2)
    await startProcess()
    await awaitNoClone(cow.replica)
    await expectUndone(cow)
  }, 240_000)

  test.each([
    ['before it cloned', 'cloneFiles', 'before'],
    ['when it has cloned', 'cloneFiles', 'after'],
  ] as const)('goes on when its agent is stopped %s', async (_what, at, when) => {
    let agent: Running | undefined
    const stopping = Promise.withResolvers<void>()
    const happens = async () => {
      stopping.resolve(agent?.stop())
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      throw ApplicationFailure.retryable('the agent ended')
    }
    agent = await cow.world.startAgent(cow.alias, { interceptors: withFaults({ at, when, happens }) })
    const run = await startBackup(cow.world, cow.alias)
    await stopping.promise
    await startAgent()
    const result = await run.result()
    expect(result.snapshot).toBe('reflink')
    await expectInService(cow.world, cow.replica)
    await expectNothingLeft(cow.replica)
    await removePublished(result)
  })

  describe('whose agent is killed', () => {
    test('right after the clone: goes on at once, and completes', async () => {
      const agent = await startProcess()
      const run = await startBackup(cow.world, cow.alias)
      await eventually(
        async () => (await leaseOf(cow.replica))?.step?.name,
        (step) => step === 'startMysqld' || step === 'rejoin',
      )
      await agent.kill()
      expect(await clonesOf(cow.replica)).toHaveLength(2)
      await startProcess()
      const result = await run.result()
      expect(await awaitedHeartbeats(cow.world, run)).toEqual([])
      await expectInService(cow.world, cow.replica)
      await expectNothingLeft(cow.replica)
      await removePublished(result)
    })

    test('during the upload: goes on at once, and completes', async () => {
      const agent = await startProcess(SLOW)
      const run = await startBackup(cow.world, cow.alias)
      await awaitUpload(run)
      await agent.kill()
      await startProcess()
      const result = await run.result()
      expect(await awaitedHeartbeats(cow.world, run)).toEqual([])
      await expectInService(cow.world, cow.replica)
      await expectNothingLeft(cow.replica)
      await removePublished(result)
    })

    test('and its run terminated meanwhile: the next agent drops the clone, and no return to service does', async () => {
      const agent = await startProcess(SLOW)
      const run = await startBackup(cow.world, cow.alias)
      await awaitUpload(run)
      await agent.kill()
      await terminate(cow.world, run)
      const clones = await clonesOf(cow.replica)
      expect(clones).toHaveLength(2)

      expect(await runKeeper(cow.world, 'agent', 'return', cow.alias)).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('nothing to do'),
      })
      expect(await clonesOf(cow.replica)).toEqual(clones)
      await startProcess()
      await awaitNoClone(cow.replica)
      await expectUndone(cow)
    })
  })

  describe("is given up before the tablet's own file system is full, and mysqld writes on", () => {
    test('while it is copied from', async () => {
      await startProcess(SLOW)
      const run = await startBackup(cow.world, cow.alias)
      await awaitUpload(run)
      await expectGivenUp(run)
    })

    test('while the tablet catches up, which may take an hour', async () => {
      const gate = gateAt('rejoin')
      await startAgent(gate.fault)
      const run = await startBackup(cow.world, cow.alias)
      await gate.reached
      await expectGivenUp(run, gate.open)
    })

    /** @param then what is done when the clone is gone */
    async function expectGivenUp(run: RunHandle<BackupResult>, then?: () => void): Promise<void> {
      await using _ = await fillCow()
      await awaitNoClone(cow.replica)
      then?.()
      await expect(run.result()).rejects.toMatchObject({
        type: 'StorageFull',
        step: 'uploadFiles',
        message: expect.stringContaining('the clone in it is given up'),
      })
      await expectUndone(cow)
    }
  })

  test('is not begun where there is no room for what changes meanwhile: mysqld is down for the copy, and people are told', async () => {
    await startAgent()
    await using _ = await fillCow()
    const result = await (await startBackup(cow.world, cow.alias)).result()
    expect(result).toMatchObject({
      snapshot: 'none',
      warnings: [{ about: 'snapshot', message: expect.stringContaining('a clone needs') }],
    })
    await removePublished(result)
  })
})
