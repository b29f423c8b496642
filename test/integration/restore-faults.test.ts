import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { RestoreResult } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import type { Started } from '../client/command-line.ts'
import { eventually } from './assertions.ts'
import { type Fault, withFaults } from './faults.ts'
import { startKeeper } from './keeper-command.ts'
import { expectOldData, expectRestored, failureOf, type Standing, standingOf, startRestore } from './restored.ts'
import { startWorld, type World } from './world.ts'

const STEPS = [
  'takeOutOfService',
  'stopMysqld',
  'downloadFiles',
  'swapData',
  'startMysqld',
  'confirmRestore',
  'rejoin',
  'dropReplaced',
] as const
const MOMENTS = STEPS.flatMap((step) => [['before', step] as const, ['after', step] as const])

// Restores wait more than they work, so that those of several tablets run at once.
describe('whatever ends a restore, its tablet serves the old data or the new, whole', () => {
  let world: World
  let free: SampleTablet[]
  const waiting: ((tablet: SampleTablet) => void)[] = []

  beforeAll(async () => {
    world = await startWorld({ replicas: 3 })
    await world.startControl()
    free = [...world.shard.replicas]
    const [first] = free
    if (first === undefined) throw new Error('the shard has no replica')
    const agent = await world.startAgent(first.alias)
    await (await world.keeper.backup(world.input(first.alias))).result()
    await agent.stop()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  interface Scene {
    readonly tablet: SampleTablet
    readonly before: Standing
    readonly run: RunHandle<RestoreResult>
  }

  /** Restores a tablet that no other test has, with an agent that has `faults` and runs until `check` is done. */
  async function restoring(faults: (tablet: SampleTablet) => Fault[], check: (scene: Scene) => Promise<void>) {
    const tablet = free.pop() ?? (await new Promise<SampleTablet>((resolve) => waiting.push(resolve)))
    const before = await standingOf(tablet)
    const agent = await world.startAgent(tablet.alias, { interceptors: withFaults(...faults(tablet)) })
    try {
      await check({ tablet, before, run: await startRestore(world, tablet) })
    } finally {
      await agent.stop()
      const next = waiting.shift()
      if (next === undefined) free.push(tablet)
      else next(tablet)
    }
  }

  test.concurrent.for(MOMENTS)('a failure right %s step %s', async ([when, step]) => {
    const happens = () => {
      throw ApplicationFailure.nonRetryable(`made to fail ${when} ${step}`, 'MysqldFailed')
    }
    await restoring(
      () => [{ at: step, when, happens }],
      async ({ tablet, before, run }) => {
        const message = `made to fail ${when} ${step}`
        expect(await failureOf(run)).toMatchObject({ type: 'MysqldFailed', message, step, returnedBy: 'workflow' })
        const isDecided = step === 'dropReplaced' && when === 'after'
        await (isDecided ? expectRestored : expectOldData)(world, tablet, before)
      },
    )
  })

  test.concurrent('a termination after the swap', async () => {
    let run: RunHandle<RestoreResult> | undefined
    const happens = async () => {
      const handle = world.client.workflow.getHandle(run?.workflowId ?? '', run?.runId)
      await handle.terminate('impatient')
      await eventually(
        async () => (await handle.describe()).status.name,
        (status) => status === 'TERMINATED',
      )
    }
    await restoring(
      () => [{ at: 'confirmRestore', when: 'before', happens }],
      async (scene) => {
        run = scene.run
        expect(await failureOf(scene.run)).toMatchObject({ type: 'Terminated' })
        await expectOldData(world, scene.tablet, scene.before)
      },
    )
  })

  test.concurrent.for([
    ['before', 'downloadFiles'],
    ['after', 'downloadFiles'],
  ] as const)('a cancellation right %s step %s, which gives the old data back', async ([when, step]) => {
    let run: RunHandle<RestoreResult> | undefined
    const isCancelled = Promise.withResolvers<void>()
    const happens = async () => {
      await eventually(
        async () => run,
        (started) => started !== undefined,
      )
      await run?.cancel()
      isCancelled.resolve()
    }
    await restoring(
      () => [{ at: step, when, happens }],
      async (scene) => {
        run = scene.run
        await isCancelled.promise
        expect(await failureOf(scene.run)).toMatchObject({ type: 'Cancelled' })
        await expectOldData(world, scene.tablet, scene.before)
      },
    )
  })

  test.concurrent('a cancellation after the swap, which comes too late, and says so: the end is nearer', async () => {
    const started = Promise.withResolvers<RunHandle<RestoreResult>>()
    const typed = Promise.withResolvers<Started>()
    const happens = async () => {
      const cancelling = startKeeper(world, 'cancel', (await started.promise).workflowId, '--json')
      typed.resolve(cancelling)
      await eventually(
        async () => cancelling.stderr(),
        (said) => said.includes('cancel requested'),
      )
    }
    await restoring(
      () => [{ at: 'startMysqld', when: 'before', happens }],
      async ({ tablet, before, run }) => {
        started.resolve(run)
        const { workflowId, runId } = run
        const result = await run.result()
        const { status, stdout, stderr } = await (await typed.promise).ended
        const document = { schema: 1, kind: 'restore', workflowId, runId, outcome: 'completed', result }
        expect({ status, document: JSON.parse(stdout) }).toEqual({ status: 0, document })
        expect(stderr).toContain('too late to cancel: it went on to its end.')
        await expectRestored(world, tablet, before)
      },
    )
  })

  test.concurrent('a mysqld that is killed before the run has seen what its data have executed', async () => {
    await restoring(
      (tablet) => [{ at: 'stopMysqld', when: 'before', happens: () => tablet.kill() }],
      async ({ tablet, before, run }) => {
        const message = 'mysqld ended before it was told to stop'
        const step = 'stopMysqld'
        expect(await failureOf(run)).toMatchObject({ type: 'MysqldFailed', message, step, returnedBy: 'workflow' })
        await expectOldData(world, tablet, before)
      },
    )
  })

  test.concurrent('a mysqld that is killed on the new data', async () => {
    await restoring(
      (tablet) => [{ at: 'rejoin', when: 'before', happens: () => tablet.kill() }],
      async ({ tablet, before, run }) => {
        expect(await failureOf(run)).toMatchObject({ type: 'MysqldFailed', step: 'rejoin', returnedBy: 'workflow' })
        await expectOldData(world, tablet, before)
      },
    )
  })
})
