import type { Payload } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CONTROL_QUEUE } from '../../model/runs.ts'
import { eventually } from '../integration/assertions.ts'
import { PLAYED_BACKUP } from './played-steps.ts'
import { type SealedWorld, SHARD, SUBJECT, startSealedWorld } from './sealed-world.ts'

let world: SealedWorld

beforeAll(async () => {
  world = await startSealedWorld()
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

const SOON = 20_000

/** Names of the events of a run's history. */
async function eventsOf(workflowId: string): Promise<string[]> {
  const { events } = await world.stranger.workflow.getHandle(workflowId).fetchHistory()
  return (events ?? []).flatMap((event) => Object.keys(event).filter((key) => key.endsWith('EventAttributes')))
}

describe('content without the key', () => {
  test.each([
    ['backup', SUBJECT],
    ['restore', SUBJECT],
    ['bootstrap', SUBJECT],
    ['inspectTablet', SUBJECT],
    ['verifyBackup', { shard: SHARD }],
    ['backup', { tabletkeeperRefused: 'altered', because: 'made up' }],
  ])('starts no %s: the run fails at once, and blocks nobody', async (type, input) => {
    const workflowId = `foreign/${type}/${Object.keys(input).length}`
    await world.stranger.workflow.start(type, { taskQueue: CONTROL_QUEUE, workflowId, args: [input] })
    await expect(world.keeper.handle(workflowId).result(AbortSignal.timeout(SOON))).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/^the input is not encrypted/),
      hint: expect.stringContaining('temporal.encryptionKeyFiles'),
    })
    const events = await eventsOf(workflowId)
    expect(events).not.toContain('activityTaskScheduledEventAttributes')
    expect(events).not.toContain('workflowTaskFailedEventAttributes')
  })

  test('starts nothing either when nobody could read it', async () => {
    const strange: Payload = { metadata: { encoding: Buffer.from('strange') }, data: Buffer.from('\u0000') }
    await world.stranger.workflowService.startWorkflowExecution({
      namespace: 'default',
      requestId: 'strange',
      workflowId: 'foreign/strange',
      workflowType: { name: 'backup' },
      taskQueue: { name: CONTROL_QUEUE },
      input: { payloads: [strange] },
    })
    await expect(world.keeper.handle('foreign/strange').result(AbortSignal.timeout(SOON))).rejects.toMatchObject({
      type: 'Refused',
    })
  })

  test('in signals and queries does nothing to a run that is under way', async () => {
    const copied = Promise.withResolvers<void>()
    await using _agent = await world.playAgent({
      ...PLAYED_BACKUP,
      copyFiles: async () => {
        await copied.promise
        return { files: 9, dataBytes: 1, storedBytes: 1, badPages: 0, firstBadPages: [] }
      },
    })
    const run = await world.keeper.backup(SUBJECT)
    await eventually(
      () => run.view(),
      ({ progress }) => progress?.current?.step === 'copyFiles',
    )
    const seen = world.stranger.workflow.getHandle(run.workflowId)
    await seen.signal('abandon', { reason: 'host-lost' })
    await seen.signal('progress', { step: 'copyFiles', at: new Date().toISOString(), progress: 'made up' })
    await seen.query('progress', 'made up').catch(() => undefined)
    copied.resolve()
    await run.result()
  })

  test('with the key, the same signal ends it', async () => {
    const copied = Promise.withResolvers<void>()
    await using _agent = await world.playAgent({
      ...PLAYED_BACKUP,
      copyFiles: async () => {
        await copied.promise
        return { files: 9, dataBytes: 1, storedBytes: 1, badPages: 0, firstBadPages: [] }
      },
    })
    const run = await eventually(
      () => world.keeper.backup(SUBJECT).catch(() => undefined),
      (begun) => begun !== undefined,
    )
    await eventually(
      async () => await run?.view(),
      (view) => view?.progress?.current?.step === 'copyFiles',
    )
    await run?.abandon()
    await expect(run?.result(AbortSignal.timeout(SOON))).rejects.toMatchObject({
      type: 'NoAgent',
      message: expect.stringMatching(/^abandoned/),
    })
    copied.resolve()
  })

  test('is no result of a step: the run fails, and its tablet is returned', async () => {
    let returned = 0
    const never = Promise.withResolvers<{ position: string }>()
    await using _agent = await world.playAgent({
      ...PLAYED_BACKUP,
      stopReplication: () => never.promise,
      returnToService: async () => {
        returned += 1
        return { by: 'workflow', details: [] }
      },
    })
    const run = await eventually(
      () => world.keeper.backup(SUBJECT).catch(() => undefined),
      (begun) => begun !== undefined,
    )
    const status = await eventually(
      async () => await run?.status(),
      (seen) => seen?.activity?.step === 'stopReplication' && seen.activity.state === 'working',
    )
    await world.stranger.activity.complete(
      { workflowId: run?.workflowId ?? '', activityId: status?.activity?.id ?? '' },
      { position: 'MySQL56/made-up:1-7' },
    )
    await expect(run?.result(AbortSignal.timeout(SOON))).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/^the result of stopReplication is not encrypted/),
      step: 'stopReplication',
      returnedBy: 'workflow',
    })
    expect(returned).toBe(1)
    never.resolve({ position: 'MySQL56/' })
  })
})
