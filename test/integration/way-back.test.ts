import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TabletAlias } from '../../model/alias.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService, expectNothingPublished } from './assertions.ts'
import { type Fault, withFaults } from './faults.ts'
import { SIX } from './held-tablet.ts'
import { startWorld, type World } from './world.ts'

describe('whatever ends a backup, its tablet is back in service and nothing is published', () => {
  let world: World
  let replica: SampleTablet
  let alias: TabletAlias

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    alias = first.alias
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Starts a backup whose agent has `faults`; the agent runs until the check is done. */
  async function backupWith(
    faults: Fault[],
    check: (workflowId: string, runId: string) => Promise<void>,
  ): Promise<void> {
    const agent = await world.startAgent(alias, { interceptors: withFaults(...faults) })
    try {
      const run = await world.keeper.backup(world.input(alias))
      await check(run.workflowId, run.runId ?? '')
      await expectInService(world, replica)
      await expectNothingPublished(world)
    } finally {
      await agent.stop()
    }
  }

  async function failureOf(workflowId: string, runId: string): Promise<unknown> {
    const outcome = await world.client.workflow
      .getHandle(workflowId, runId)
      .result()
      .catch((error: unknown) => error)
    return outcome instanceof WorkflowFailedError ? outcome.cause : outcome
  }

  test.each(SIX)('a failure at step %s, after it has acted', async (step) => {
    const happens = () => {
      throw ApplicationFailure.nonRetryable(`made to fail at ${step}`, 'MysqldFailed')
    }
    await backupWith([{ at: step, when: 'after', happens }], async (workflowId, runId) => {
      expect(await failureOf(workflowId, runId)).toMatchObject({
        type: 'MysqldFailed',
        message: `made to fail at ${step}`,
      })
    })
  })

  test('a MANIFEST that was begun when its store went away is published by the next attempt, and nothing of it is left', async () => {
    const directory = join(world.storageRoot, world.shard.shard)
    const begun = async (): Promise<void> => {
      for (const name of await readdir(directory))
        await writeFile(join(directory, name, '.tmp-0123456789abcdef-MANIFEST'), '{')
      throw ApplicationFailure.retryable('the store went away', 'StorageUnavailable')
    }
    const agent = await world.startAgent(alias, {
      interceptors: withFaults({ at: 'publishBackup', when: 'before', happens: begun }),
    })
    const { backup } = await (await world.keeper.backup(world.input(alias))).result()
    await agent.stop()
    expect((await readdir(join(directory, backup))).filter((name) => name.startsWith('.'))).toEqual([])
    await rm(join(directory, backup), { recursive: true })
  })

  test('a step that throws for ever', async () => {
    const happens = () => {
      throw ApplicationFailure.retryable('the store is gone', 'StorageUnavailable')
    }
    await backupWith([{ at: 'copyFiles', when: 'before', always: true, happens }], async (workflowId, runId) => {
      expect(await failureOf(workflowId, runId)).toMatchObject({
        type: 'StorageUnavailable',
        message: 'the store is gone',
      })
    })
  })

  test.each(SIX)('a cancellation during step %s', async (step) => {
    const started = Promise.withResolvers<WorkflowHandle>()
    const happens = async () => {
      await (await started.promise).cancel()
      await new Promise((resolve) => setTimeout(resolve, 1_500))
    }
    await backupWith([{ at: step, when: 'before', happens }], async (workflowId, runId) => {
      started.resolve(world.client.workflow.getHandle(workflowId, runId))
      const failure = await failureOf(workflowId, runId)
      expect(failure).toMatchObject({ name: 'CancelledFailure' })
    })
  })

  test.each(['stopMysqld', 'copyFiles'] as const)('a termination during step %s', async (step) => {
    const started = Promise.withResolvers<WorkflowHandle>()
    const happens = async () => {
      await (await started.promise).terminate('impatient')
      await new Promise((resolve) => setTimeout(resolve, 1_500))
    }
    await backupWith([{ at: step, when: 'before', happens }], async (workflowId, runId) => {
      const handle = world.client.workflow.getHandle(workflowId, runId)
      started.resolve(handle)
      await eventually(
        async () => (await handle.describe()).status.name,
        (status) => status === 'TERMINATED',
      )
    })
  })

  test.each(['stopMysqld', 'copyFiles'] as const)('a reset during step %s', async (step) => {
    const started = Promise.withResolvers<() => Promise<void>>()
    const happens = async () => {
      const reset = await started.promise
      await reset()
      await new Promise((resolve) => setTimeout(resolve, 1_500))
    }
    await backupWith([{ at: step, when: 'before', happens }], async (workflowId, runId) => {
      started.resolve(() => resetToStep(workflowId, runId, step))
      await failureOf(workflowId, runId)
      // The run that the reset began ends too, by its fence, or by failing where the tablet was taken from it.
      await eventually(
        async () => (await world.client.workflow.getHandle(workflowId).describe()).status.name,
        (status) => status === 'FAILED' || status === 'COMPLETED',
      )
    })
  })

  /** Resets a run to the workflow task in which it scheduled `step`. */
  async function resetToStep(workflowId: string, runId: string, step: string): Promise<void> {
    const { events } = await world.client.workflow.getHandle(workflowId, runId).fetchHistory()
    const scheduled = (events ?? []).find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === step,
    )
    await world.client.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId, runId },
      workflowTaskFinishEventId: scheduled?.activityTaskScheduledEventAttributes?.workflowTaskCompletedEventId ?? null,
      requestId: crypto.randomUUID(),
      reason: 'tried by a test',
    })
  }
})
