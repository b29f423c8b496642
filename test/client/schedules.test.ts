import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection, ScheduleClient, type ScheduleSummary } from '@temporalio/client'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { renderSchedule, scheduleDocument } from '../../client/output/schedules.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { parseAlias } from '../../model/alias.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { runCli, writeConfig } from './command-line.ts'
import { recordedTerminal } from './recorded-terminal.ts'
import { SHARD, TABLET } from './run-views.ts'

const subject = { shard: SHARD, tablet: TABLET }
const ID = `backup/${SHARD}/${TABLET}`
let directory: string
let temporal: TemporalServer
let keeper: Tabletkeeper
let client: Client

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  temporal = await startTemporal({ directory })
  keeper = await Tabletkeeper.connect({ address: temporal.address })
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) })
})

afterAll(async () => {
  await keeper[Symbol.asyncDispose]()
  await client.connection.close()
  await temporal.stop()
  await rm(directory, { recursive: true, force: true })
})

afterEach(async () => {
  await keeper.schedules.delete(subject).catch(() => {})
})

async function waitForRuns() {
  await waitUntil('the run is open', async () => (await keeper.runs()).length === 1, 15_000)
  return await keeper.runs()
}

const raw = () => client.schedule.getHandle(ID).describe()

describe('the schedule of a tablet', () => {
  it('never overlaps, catches up for a bounded time, and is not paused by a run that fails', async () => {
    await keeper.schedules.create({ ...subject, every: '24h', jitter: '10m' })
    const { policies, spec, action } = await raw()
    expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 3_600_000, pauseOnFailure: false })
    expect(spec.intervals).toMatchObject([{ every: 86_400_000 }])
    expect(spec.jitter).toBe(600_000)
    expect(action).toMatchObject({ workflowType: 'backup', workflowId: ID, taskQueue: 'tabletkeeper' })
    // Two backups are that far apart when the first starts at once and the second late by all of the jitter.
    expect(action.args).toEqual([{ ...subject, interval: '87000s' }])
  })

  it('tells backups the longest interval of a cron expression', async () => {
    const created = await keeper.schedules.create({
      ...subject,
      cron: '0 2 * * MON-FRI',
      concurrency: 2,
      allowPrimary: true,
    })
    expect(created).toMatchObject({ cron: '0 2 * * MON-FRI', interval: '259200s' })
    const { action, policies, spec } = await raw()
    expect(action.args).toEqual([{ ...subject, concurrency: 2, allowPrimary: true, interval: '259200s' }])
    expect(action).toMatchObject({ workflowId: ID, staticSummary: `backup **${TABLET}** of ${SHARD}` })
    expect(policies.overlap).toBe('SKIP')
    expect(spec.calendars).toHaveLength(1)
  })

  it('keeps the time zone of a cron expression', async () => {
    const { nextRuns } = await keeper.schedules.create({ ...subject, cron: '0 2 * * *', timezone: 'Asia/Kolkata' })
    expect(nextRuns[0]?.toISOString()).toMatch(/T20:30:00/)
  })

  it('starts runs that are findable and named after the tablet', async () => {
    await keeper.schedules.create({ ...subject, every: '24h' })
    await keeper.schedules.trigger(subject)
    const [run] = await waitForRuns()
    expect(run?.workflowId).toMatch(new RegExp(`^${ID}-\\d{4}-`))
    const description = await client.workflow.getHandle(run?.workflowId ?? '').describe()
    expect(description.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value])).toEqual(
      expect.arrayContaining([
        ['TabletkeeperKind', 'backup'],
        ['TabletkeeperShard', SHARD],
        ['TabletkeeperTablet', TABLET],
      ]),
    )
    expect((await keeper.handle(run?.workflowId ?? '').status()).subject).toEqual(subject)

    await expect(keeper.schedules.trigger(subject)).rejects.toMatchObject({
      type: 'TabletBusy',
      message: expect.stringContaining(ID),
    })
    await client.workflow.getHandle(run?.workflowId ?? '').terminate('end of the test')
  })

  it('pauses with a note, resumes, and shows both', async () => {
    await keeper.schedules.create({ ...subject, every: '24h' })
    await keeper.schedules.pause(subject, 'upgrade of db2')
    const paused = await keeper.schedules.describe(subject)
    expect(paused).toMatchObject({ paused: true, note: 'upgrade of db2', nextRuns: [] })
    expect(renderSchedule(paused, recordedTerminal({ isRead: true }).paint)).toContain(
      'state     paused (upgrade of db2)',
    )
    await keeper.schedules.resume(subject, 'done')
    expect(await keeper.schedules.describe(subject)).toMatchObject({ paused: false, note: 'done' })
  })

  it('is listed by shard, as JSON without holes', async () => {
    const other = { ...subject, tablet: parseAlias('zone1-102') }
    await keeper.schedules.create({ ...subject, every: '24h' })
    await keeper.schedules.create({ ...other, every: '12h' })
    await waitUntil('both are listed', async () => (await keeper.schedules.list(SHARD)).length === 2, 15_000)
    const listed = await keeper.schedules.list(SHARD)
    expect(listed.map(({ tablet }) => tablet)).toEqual([TABLET, other.tablet])
    expect(JSON.parse(JSON.stringify(listed.map(scheduleDocument)))[0]).toMatchObject({
      tablet: TABLET,
      cron: null,
      every: '24h',
      catchUp: '1h',
    })
    expect(await keeper.schedules.list('commerce/-80')).toEqual([])
    await keeper.schedules.delete(other)
  })

  it('refuses what cannot be meant, and says what is wrong', async () => {
    const create = (words: { cron?: string; every?: string; jitter?: string; timezone?: string }) =>
      keeper.schedules.create({ ...subject, ...words })
    await expect(create({})).rejects.toMatchObject({ type: 'InvalidInput' })
    await expect(create({ cron: '0 2 * * *', every: '1h' })).rejects.toMatchObject({ type: 'InvalidInput' })
    await expect(create({ cron: 'at noon' })).rejects.toMatchObject({ type: 'InvalidInput' })
    await expect(create({ cron: '0 2 * * *', timezone: 'Mars/Olympus' })).rejects.toMatchObject({
      type: 'InvalidInput',
    })
    await expect(create({ every: 'daily' })).rejects.toMatchObject({ type: 'InvalidInput' })
    await expect(create({ every: '500ms' })).rejects.toMatchObject({ type: 'InvalidInput' })
    await expect(keeper.schedules.describe(subject)).rejects.toMatchObject({ type: 'NotFound' })
  })

  it('is left out of a list that does not know yet that it is deleted', async () => {
    const other = { ...subject, tablet: parseAlias('zone1-102') }
    await keeper.schedules.create({ ...subject, every: '24h' })
    await keeper.schedules.create({ ...other, every: '12h' })
    await waitUntil('both are listed', async () => (await keeper.schedules.list(SHARD)).length === 2, 15_000)
    const late: ScheduleSummary[] = []
    for await (const one of client.schedule.list()) late.push(one)
    await keeper.schedules.delete(subject)
    // A development server is seldom late.
    vi.spyOn(ScheduleClient.prototype, 'list').mockImplementationOnce(async function* () {
      yield* late
    })
    expect((await keeper.schedules.list(SHARD)).map(({ tablet }) => tablet)).toEqual([other.tablet])
    await keeper.schedules.delete(other)
  })

  it('outlives the lines of its tablet in the configuration, and can still be shown, paused, resumed, triggered and deleted', async () => {
    const gone = { ...subject, tablet: parseAlias('zone1-109') }
    await keeper.schedules.create({ ...gone, every: '24h' })
    await waitUntil('it is listed', async () => (await keeper.schedules.list(SHARD)).length === 1, 15_000)
    const config = await writeConfig(directory, directory)
    const env = { TABLETKEEPER_CONFIG: config, TEMPORAL_ADDRESS: temporal.address }
    const type = (verb: string) => runCli(['schedule', verb, 'zone1-109', '--json'], env)
    for (const [verb, outcome] of [
      ['pause', 'paused'],
      ['resume', 'resumed'],
      ['trigger', 'triggered'],
    ] as const) {
      const { status, stdout } = await type(verb)
      expect({ status, document: JSON.parse(stdout) }).toEqual({ status: 0, document: { schema: 1, ...gone, outcome } })
    }
    const [run] = await waitForRuns()
    await client.workflow.getHandle(run?.workflowId ?? '').terminate('end of the test')
    const shown = await type('show')
    expect(JSON.parse(shown.stdout)).toMatchObject({ schedule: gone })
    expect(await type('delete')).toMatchObject({ status: 0 })
    const again = await type('delete')
    expect(again.status).toBe(10)
    expect(JSON.parse(again.stdout).error.message).toBe('zone1-0000000109 is no tablet of the configuration')
  })

  it('is one for each tablet', async () => {
    await keeper.schedules.create({ ...subject, every: '24h' })
    await expect(keeper.schedules.create({ ...subject, every: '12h' })).rejects.toMatchObject({ type: 'Refused' })
    await keeper.schedules.delete(subject)
    await expect(keeper.schedules.delete(subject)).rejects.toMatchObject({ type: 'NotFound' })
  })
})
