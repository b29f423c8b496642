import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Machine } from '../../model/machine.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService } from './assertions.ts'
import { SLOW } from './crashing-agent.ts'
import { askHealth } from './health.ts'
import { awaitReturned, awaitStep, leaseOf, startBackup } from './held-tablet.ts'
import { runKeeper } from './keeper-command.ts'
import { type Running, startWorld, type World } from './world.ts'

let world: World
let replica: SampleTablet
const agents: Running[] = []

const ELSEWHERE: Machine = { id: 'e'.repeat(32), host: 'db9' }

beforeAll(async () => {
  world = await startWorld({ yaml: SLOW })
  await world.startControl()
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
})
afterEach(async () => {
  await Promise.all(agents.splice(0).map((one) => one.stop()))
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

test('a lease that came with the volume of another machine is acted by when a person says so, and not before', async () => {
  const there = await world.startAgent(replica.alias, { machine: ELSEWHERE })
  const run = await startBackup(world, replica.alias)
  await awaitStep(replica, 'copyFiles')
  await there.stop()
  const lease = await leaseOf(replica)
  expect(lease).toMatchObject({ machineId: ELSEWHERE.id, host: ELSEWHERE.host, type: 'BACKUP' })

  // Here is where the volume is now. The agent there polled a moment ago: it is waited for.
  const here = world.startAgent(replica.alias)
  here.then(
    (agent) => agents.push(agent),
    () => undefined,
  )
  await eventually(
    () => askHealth(world, replica.alias).catch(() => undefined),
    (answer) =>
      answer?.status === 503 && answer.reason === 'its lease is not its own: it was taken on another machine, db9',
  )
  const refused = await runKeeper(world, 'agent', 'return', replica.alias)
  expect(refused).toMatchObject({ status: 20, stdout: '' })
  expect(refused.stderr).toContain(`the lease in the data directory of ${replica.alias} is not its own`)
  expect(refused.stderr).toContain(`tabletkeeper agent return ${replica.alias} --force-foreign-lease`)
  await here

  const second = await startBackup(world, replica.alias)
  await expect(second.result()).rejects.toMatchObject({ type: 'TabletBusy', step: 'preflight' })
  const check = await runKeeper(world, 'check')
  expect(check.stdout).toContain(`${replica.alias} its lease is not its own: it was taken on another machine, db9`)
  // Its run has nobody to go on with, and its way back waits.
  await eventually(
    () => run.view(),
    ({ progress }) => progress?.current?.step === 'returnToService',
  )
  expect({ ...(await leaseOf(replica)), touched: '' }).toEqual({ ...lease, touched: '' })
  expect(await replica.pid()).toBeUndefined()

  const forced = await runKeeper(world, 'agent', 'return', replica.alias, '--force-foreign-lease')
  expect(forced).toMatchObject({ status: 0, stdout: expect.stringContaining(`returned  ${replica.alias}`) })
  await awaitReturned(replica)
  await expectInService(world, replica)
  await expect(run.result()).rejects.toMatchObject({ type: 'FenceBroken' })
}, 240_000)
