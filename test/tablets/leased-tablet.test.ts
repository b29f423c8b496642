import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Claim } from '../../model/lease.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { LeasedTablet, type TakeRequest } from '../../tablets/leased-tablet.ts'
import { configuredDriver } from './configured-driver.ts'

const log = pino({ level: 'silent' })
const never = new AbortController().signal
let folder: string
let tablet: LeasedTablet

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lease-'))
  tablet = new LeasedTablet(configuredDriver(), new LeaseFile(folder), log, 100)
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
  machineId: 'machine',
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

test('a release by whoever holds the lease no longer changes nothing', async () => {
  await taken()
  await tablet.release({ runId: 'run-1', token: 'f'.repeat(32) })
  expect((await tablet.lease())?.runId).toBe('run-1')
})
