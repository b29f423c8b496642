import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Claim, Here } from '../../model/lease.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { LeasedTablet, type TakeRequest } from '../../tablets/leased-tablet.ts'
import { configuredDriver } from './configured-driver.ts'

const log = pino({ level: 'silent' })
const never = new AbortController().signal
const home: Here = {
  tablet: parseAlias('zone1-101'),
  machine: { id: 'a'.repeat(32), host: 'db2' },
  serverUuid: '1498cfea-e878-11f1-8709-02fc00000001',
}
let here: Here
let folder: string
let tablet: LeasedTablet

beforeEach(async () => {
  here = home
  folder = await mkdtemp(join(tmpdir(), 'lease-'))
  tablet = new LeasedTablet(configuredDriver(), new LeaseFile(folder), async () => here, log, 100)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const request: TakeRequest = {
  namespace: 'default',
  workflowId: 'backup/commerce/0/zone1-0000000101/2026-11-25T00:00:00Z',
  runId: 'run-1',
  kind: 'backup',
  returnTo: 'REPLICA',
  mysqldRan: true,
  serverUuid: null,
  captured: null,
}

async function taken(): Promise<Claim> {
  const { token } = await tablet.take(request)
  return { runId: request.runId, token }
}

const fenceBroken = expect.objectContaining({ type: 'FenceBroken' })

test('a tablet that is held is refused to another run, naming the holder, and given again to the same run', async () => {
  const first = await tablet.take(request)
  await expect(tablet.take({ ...request, runId: 'run-2', workflowId: 'other' })).rejects.toMatchObject({
    type: 'TabletBusy',
    message: expect.stringContaining(request.workflowId),
    retryable: false,
  })
  expect(await tablet.take(request)).toEqual(first)
})

test('a step writes its name into the lease before it acts, and takes it out when it has ended', async () => {
  const claim = await taken()
  await tablet.step(claim, 'copyFiles', '7', never, async () => {
    expect((await tablet.lease())?.step).toMatchObject({ name: 'copyFiles', activityId: '7' })
  })
  expect((await tablet.lease())?.step).toBeNull()
})

test.each([
  ['another token', { runId: 'run-1', token: 'f'.repeat(32) }],
  ['another run: a reset one', { runId: 'run-2' }],
])('a late step with %s changes nothing', async (_what, other) => {
  const claim = { ...(await taken()), ...other }
  const acted = tablet.step(claim, 'stopMysqld', '1', never, async () => 'acted')
  await expect(acted).rejects.toEqual(fenceBroken)
})

test('no step begins once the tablet is being returned, nor after it was', async () => {
  const claim = await taken()
  const gate = Promise.withResolvers<void>()
  const returning = tablet.returning(
    () => true,
    never,
    () => gate.promise,
  )
  const late = tablet.step(claim, 'stopMysqld', '1', never, async () => 'acted')
  gate.resolve()
  await returning
  await expect(late).rejects.toEqual(fenceBroken)
  expect(await tablet.lease()).toBeUndefined()
})

test('a return that fails leaves the lease, from which no step begins', async () => {
  const claim = await taken()
  const failing = tablet.returning(
    () => true,
    never,
    async () => {
      throw new TabletkeeperError('MysqldFailed', 'did not start')
    },
  )
  await expect(failing).rejects.toMatchObject({ type: 'MysqldFailed' })
  expect((await tablet.lease())?.state).toBe('returning')
  await expect(tablet.step(claim, 'startMysqld', '1', never, async () => 'acted')).rejects.toEqual(fenceBroken)
})

test('a second attempt begins only when the first has stopped', async () => {
  const claim = await taken()
  const events: string[] = []
  const first = tablet.step(claim, 'copyFiles', '1', never, async ({ signal }) => {
    await delay(60_000, undefined, { signal }).catch(() => delay(50))
    events.push('first stopped')
    signal.throwIfAborted()
  })
  const outcome = first.catch((error: unknown) => error)
  await tablet.step(claim, 'copyFiles', '1', never, async () => void events.push('second acts'))
  expect(await outcome).toEqual(fenceBroken)
  expect(events).toEqual(['first stopped', 'second acts'])
})

test('a step that hangs is left behind: what it holds is released and the tablet returned', async () => {
  const claim = await taken()
  const events: string[] = []
  const hanging = tablet.step(claim, 'copyFiles', '1', never, async (step) => {
    step.holds({ [Symbol.asyncDispose]: async () => void events.push('released') })
    await new Promise(() => {})
  })
  const outcome = hanging.catch((error: unknown) => error)
  await tablet.returning(
    () => true,
    never,
    async () => void events.push('returned'),
  )
  expect(await outcome).toMatchObject({ type: 'StorageUnavailable', message: expect.stringContaining('does not stop') })
  expect(events).toEqual(['released', 'returned'])
})

describe('a lease that came with a copy of the data', () => {
  const another = '2598cfea-e878-11f1-8709-02fc00000002'
  test.each([
    ['of another machine', { machine: { id: 'b'.repeat(32), host: 'db3' } }, 'it was taken on another machine, db2'],
    ['of another tablet', { tablet: parseAlias('zone1-102') }, 'it is of zone1-0000000101'],
    [
      'of another server',
      { serverUuid: another },
      `it was taken for the server ${home.serverUuid}, and the data are of ${another}`,
    ],
  ])('%s is acted by by nobody, not even the run that knows its token', async (_what, elsewhere, why) => {
    const { token } = await tablet.take({ ...request, serverUuid: home.serverUuid ?? null })
    const claim = { runId: request.runId, token }
    const before = await tablet.lease()
    here = { ...home, ...elsewhere }
    expect(await tablet.held()).toEqual({ lease: before, foreign: why })
    const acted: string[] = []
    const foreign = expect.objectContaining({ type: 'FenceBroken', message: expect.stringContaining(why) })
    await expect(tablet.step(claim, 'copyFiles', '1', never, async () => acted.push('step'))).rejects.toEqual(foreign)
    await expect(tablet.release(claim)).rejects.toEqual(foreign)
    const returning = tablet.returning(
      () => true,
      never,
      async () => acted.push('return'),
    )
    // The run waits for the machine that has it, or for a person.
    await expect(returning).rejects.toMatchObject({ type: 'FenceBroken', retryable: true })
    await expect(tablet.take({ ...request, runId: 'run-2' })).rejects.toMatchObject({
      type: 'TabletBusy',
      message: expect.stringContaining(why),
      hint: expect.stringContaining('agent return'),
    })
    expect(acted).toEqual([])
    expect(await tablet.lease()).toEqual(before)
    here = home
    await tablet.release(claim)
    expect(await tablet.lease()).toBeUndefined()
  })

  test("is the tablet's own while nobody can tell which server it is", async () => {
    await tablet.take({ ...request, serverUuid: home.serverUuid ?? null })
    here = { ...home, serverUuid: undefined }
    expect(await tablet.held()).toMatchObject({ foreign: undefined })
  })
})

test('a release by whoever holds the lease no longer changes nothing', async () => {
  await taken()
  await tablet.release({ runId: 'run-1', token: 'f'.repeat(32) })
  expect((await tablet.lease())?.runId).toBe('run-1')
})
