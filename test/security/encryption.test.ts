import { Context } from '@temporalio/activity'
import { ApplicationFailure, type Client, Connection, Client as TemporalClient } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RunFailed, Tabletkeeper } from '../../client/tabletkeeper.ts'
import { runCli } from '../client/command-line.ts'
import { eventually } from '../integration/assertions.ts'
import { PLANTED, PLAYED_BACKUP } from './played-steps.ts'
import { type SealedWorld, SUBJECT, startSealedWorld, TABLET } from './sealed-world.ts'
import { textIn } from './text-in.ts'

let world: SealedWorld

beforeAll(async () => {
  world = await startSealedWorld()
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

/** Everything that the server tells about a run to anybody who may read the namespace. */
async function toldOf(client: Client, workflowId: string): Promise<string> {
  const history = await client.workflow.getHandle(workflowId).fetchHistory()
  const description = await client.workflowService.describeWorkflowExecution({
    namespace: 'default',
    execution: { workflowId },
  })
  return await textIn([history, description])
}

/** The id of a run has the second of its start in it. */
async function startBackup(keeper: Tabletkeeper = world.keeper) {
  const run = await eventually(
    () => keeper.backup(SUBJECT).catch(() => undefined),
    (begun) => begun !== undefined,
  )
  return run ?? expect.fail('it was not started')
}

describe('with keys, Temporal holds', () => {
  test('nothing of what a run is told and tells, beside names; and who has a key reads all of it', async () => {
    await using _agent = await world.playAgent(PLAYED_BACKUP)
    const run = await startBackup()
    const result = await run.result()
    expect(result).toMatchObject({ position: PLANTED.position, warnings: [{ message: PLANTED.warning }] })
    const told = await toldOf(world.stranger, run.workflowId)
    expect(told).toContain('stopReplication')
    expect(told).toContain('binary/encrypted')
    for (const content of ['planted', '"tablet":', 'Takes the tablet out of service'])
      expect(told).not.toContain(content)
    expect((await run.status()).subject).toEqual(SUBJECT)
    expect((await run.progress()).done.map(({ step }) => step)).toContain('publishBackup')
  })

  test('nothing of a failure but its type, while it is tried again and afterwards', async () => {
    const goOn = Promise.withResolvers<void>()
    await using _agent = await world.playAgent({
      ...PLAYED_BACKUP,
      stopMysqld: async () => {
        if (Context.current().info.attempt > 1) await goOn.promise
        const details = { hint: PLANTED.hint }
        throw ApplicationFailure.create({
          message: PLANTED.failure,
          type: 'MysqldFailed',
          nonRetryable: Context.current().info.attempt > 1,
          details: [details],
        })
      },
    })
    const run = await startBackup()
    const { activity } = await eventually(
      () => run.status(),
      ({ activity }) => activity?.step === 'stopMysqld' && activity.attempt > 1,
    )
    expect(activity?.lastFailure).toEqual({ type: 'MysqldFailed', message: PLANTED.failure, hint: PLANTED.hint })
    expect(await toldOf(world.stranger, run.workflowId)).not.toContain('planted')
    goOn.resolve()
    const failed = await run.result().catch((error: unknown) => error)
    expect(failed).toMatchObject({ type: 'MysqldFailed', message: PLANTED.failure, hint: PLANTED.hint })
    const told = await toldOf(world.stranger, run.workflowId)
    expect(told).toContain('MysqldFailed')
    expect(told).not.toContain('planted')
  })

  test('nothing of a heartbeat, nor of what a step waits for', async () => {
    const copied = Promise.withResolvers<void>()
    await using _agent = await world.playAgent({
      ...PLAYED_BACKUP,
      stopMysqld: async () => {
        Context.current().heartbeat({ waitingFor: PLANTED.heartbeat })
        await copied.promise
        return { lsn: '1' }
      },
    })
    const run = await startBackup()
    await eventually(
      () => run.status(),
      ({ activity }) => activity?.waitingFor === PLANTED.heartbeat,
    )
    expect(await toldOf(world.stranger, run.workflowId)).not.toContain('planted')
    copied.resolve()
    await run.result()
  })

  test('nothing of a schedule but when it acts; its runs start encrypted', async () => {
    await using _agent = await world.playAgent(PLAYED_BACKUP)
    const made = await world.keeper.schedules.create({ ...SUBJECT, every: '24h' })
    expect(made).toMatchObject({ ...SUBJECT, every: '24h', interval: '24h' })
    const scheduleId = `backup/commerce/0/${TABLET}`
    const raw = await world.stranger.workflowService.describeSchedule({ namespace: 'default', scheduleId })
    expect(await textIn(raw)).not.toMatch(/"tablet":|Takes the tablet/)
    await world.keeper.schedules.trigger(SUBJECT)
    const { lastRuns } = await eventually(
      () => world.keeper.schedules.describe(SUBJECT),
      (schedule) => schedule.lastRuns.length > 0,
    )
    const result = await world.keeper.handle(lastRuns[0]?.workflowId ?? '').result()
    expect(result).toMatchObject({ position: PLANTED.position })

    await using stranger = await Tabletkeeper.connect({ encryptionKeyFiles: [world.otherKeyFile] })
    const refused = {
      type: 'InvalidConfig',
      message: expect.stringMatching(/^the schedule backup\/commerce\/0.* is encrypted with key/),
    }
    await expect(stranger.schedules.list()).rejects.toMatchObject(refused)
    await expect(stranger.schedules.describe(SUBJECT)).rejects.toMatchObject(refused)
    await world.keeper.schedules.delete(SUBJECT)
  })
})

describe('keys are changed', () => {
  test('one after the other: what the older one has encrypted is read, and taken', async () => {
    await using _agent = await world.playAgent(PLAYED_BACKUP)
    await using late = await Tabletkeeper.connect({ encryptionKeyFiles: world.keyFiles.slice(1) })
    const run = await startBackup(late)
    // Control answers with the newer one, which this client does not have yet.
    const failed = await run.result().catch((error: unknown) => error)
    expect(failed).toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringMatching(/which temporal.encryptionKeyFiles does not have/),
    })
    await using updated = await Tabletkeeper.connect({ encryptionKeyFiles: world.keyFiles.toReversed() })
    expect(await updated.handle(run.workflowId).result()).toMatchObject({ position: PLANTED.position })
  })
})

describe('who has another key, or none,', () => {
  const backUp = async (keyFiles: readonly string[]) =>
    runCli(['backup', TABLET, '--json'], {
      TABLETKEEPER_CONFIG: await world.configWith(keyFiles),
      TEMPORAL_ADDRESS: world.temporal.address,
    })

  test('starts nothing, and is told why', async () => {
    await using _agent = await world.playAgent(PLAYED_BACKUP)
    const other = await backUp([world.otherKeyFile])
    expect(JSON.parse(other.stdout)).toMatchObject({
      error: {
        type: 'InvalidConfig',
        message: expect.stringMatching(/^the content is encrypted with key [0-9a-f]{16}, which/),
      },
    })
    expect(other.status).toBe(3)
    const none = await backUp([])
    expect(JSON.parse(none.stdout)).toMatchObject({ error: { type: 'Refused' } })
    expect(none.status).toBe(20)
    expect((await backUp(world.keyFiles)).status).toBe(0)
  })

  test('takes no tasks: an agent without the keys fails the run before anything is done', async () => {
    const done: string[] = []
    const preflightBackup: typeof PLAYED_BACKUP.preflightBackup = async (input) => {
      done.push('preflight')
      return (await PLAYED_BACKUP.preflightBackup?.(input)) ?? expect.fail('nothing was played')
    }
    for (const files of [[world.otherKeyFile], []]) {
      await using _agent = await world.playAgent({ ...PLAYED_BACKUP, preflightBackup }, files)
      const run = await startBackup()
      const failed = await run.result(AbortSignal.timeout(20_000)).catch((error: unknown) => error)
      expect(failed).toBeInstanceOf(RunFailed)
      expect(failed).toMatchObject({ type: 'InvalidConfig', step: 'preflight' })
    }
    expect(done).toEqual([])
  })

  test('is told when it is the client that lacks them', async () => {
    await using _agent = await world.playAgent(PLAYED_BACKUP)
    const run = await startBackup()
    await run.result()
    await using stranger = await Tabletkeeper.connect()
    const seen = stranger.handle(run.workflowId)
    await expect(seen.result()).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringMatching(/^what Temporal holds of this run is/),
    })
    await expect(seen.progress()).rejects.toMatchObject({ type: 'InvalidConfig' })
    expect(await seen.status()).toMatchObject({ state: 'completed', subject: undefined })
  })

  test('is told about a file that holds no key', async () => {
    const config = await world.configWith(['/proc/self/environ'])
    const { status, stderr } = await runCli(['status'], { TABLETKEEPER_CONFIG: config, PLANTED: 'planted-environment' })
    expect(status).toBe(3)
    expect(stderr).toMatch(
      /^error InvalidConfig: temporal.encryptionKeyFiles: \/proc\/self\/environ does not hold a key\n/,
    )
    expect(stderr).not.toContain('planted')
  })
})

describe('without keys', () => {
  test('Temporal holds what is said: these tests would see it', async () => {
    const connection = await Connection.connect({ address: world.temporal.address })
    const plain = new TemporalClient({ connection })
    await plain.workflow.start('backup', {
      taskQueue: 'nobody takes it',
      workflowId: 'plain/1',
      args: [{ ...SUBJECT, token: PLANTED.token }],
      staticDetails: 'Takes the tablet out of service',
    })
    const told = await toldOf(world.stranger, 'plain/1')
    for (const content of ['planted', '"tablet":', 'Takes the tablet out of service']) expect(told).toContain(content)
    await connection.close()
  })
})
