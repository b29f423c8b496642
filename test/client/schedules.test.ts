import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { renderSchedule, scheduleDocument } from '../../client/output/schedules.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { parseAlias } from '../../model/alias.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
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

const raw = () => client.schedule.getHandle(ID).describe()

describe('the schedule of a tablet', () => {
  it('never overlaps, catches up for a bounded time, and is not paused by a run that fails', async () => {
    await keeper.schedules.create({ ...subject, every: '24h', jitter: '10m' })
    const { policies, spec, action } = await raw()
    expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 3_600_000, pauseOnFailure: false })
    expect(spec.intervals).toMatchObject([{ every: 86_400_000 }])
    expect(spec.jitter).toBe(600_000)
    expect(action).toMatchObject({ workflowType: 'backup', workflowId: ID, taskQueue: 'tabletkeeper' })
    expect(action.args).toEqual([{ ...subject, interval: '24h' }])
  })

  it('tells backups the longest interval of a cron expression', async () => {
    const created = await keeper.schedules.create({ ...subject, cron: '0 2 * * MON-FRI', concurrency: 2 })
    expect(created).toMatchObject({ cron: '0 2 * * MON-FRI', interval: '259200s' })
    const { action, policies, spec } = await raw()
    expect(action.args).toEqual([{ ...subject, concurrency: 2, interval: '259200s' }])
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
    await waitUntil('the run is open', async () => (await keeper.runs()).length === 1, 15_000)
    const [run] = await keeper.runs()
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

  it('is one for each tablet', async () => {
    await keeper.schedules.create({ ...subject, every: '24h' })
    await expect(keeper.schedules.create({ ...subject, every: '12h' })).rejects.toMatchObject({ type: 'Refused' })
    await keeper.schedules.delete(subject)
    await expect(keeper.schedules.delete(subject)).rejects.toMatchObject({ type: 'NotFound' })
  })
})
