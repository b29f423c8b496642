import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT_CODES } from '../../model/errors.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService } from './assertions.ts'
import { SLOW, startCrashingAgent } from './crashing-agent.ts'
import { gateAt, withFaults } from './faults.ts'
import { awaitStep, leaseOf, startBackup } from './held-tablet.ts'
import { runKeeper, startKeeper } from './keeper-command.ts'
import { attemptsOf } from './run-history.ts'
import { startWorld, type World } from './world.ts'

let world: World
let replica: SampleTablet

beforeAll(async () => {
  world = await startWorld({ megabytes: 30, yaml: SLOW })
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

/** What the copy under way has recorded, line by line. */
async function ledger(): Promise<string[]> {
  const folder = join(replica.datadir, '.tabletkeeper/copies')
  const [name] = await readdir(folder).catch(() => [])
  if (name === undefined) return []
  return (await readFile(join(folder, name), 'utf8')).split('\n').filter((line) => line !== '')
}

/** Objects, or pieces of them, that stand in the record as written. */
const written = (lines: readonly string[]): string[] => lines.filter((line) => /^\["(file|frame)"/.test(line))

/** Each file once, and of one that was stored by frames no more than its bytes. */
function expectNothingTwice(record: readonly string[]): void {
  const lines = written(record).map((line): unknown[] => JSON.parse(line))
  const files = lines.filter(([kind]) => kind === 'file')
  expect(new Set(files.map(([, index]) => index)).size).toBe(files.length)
  for (const [, index, , , size] of files) {
    const frames = lines.filter(([kind, of]) => kind === 'frame' && of === index)
    expect([0, size]).toContain(frames.reduce((sum, [, , plain]) => sum + Number(plain), 0))
  }
}

test('an agent that is told to end in mid-copy leaves in order; the next one copies nothing again that was done', async () => {
  const control = await world.startControl()
  const agent = await startCrashingAgent(world, replica, SLOW)
  const run = await startBackup(world, replica.alias)
  await awaitStep(replica, 'copyFiles')
  await eventually(
    async () => written(await ledger()).length,
    (count) => count >= 2,
  )
  expect(await agent.stop()).toBe(0)
  const before = await ledger()
  expect(await leaseOf(replica)).toMatchObject({ state: 'held', step: null, type: 'BACKUP' })
  expect(await replica.pid()).toBeUndefined()

  const copied = gateAt('copyFiles', 'after')
  const next = await world.startAgent(replica.alias, { interceptors: withFaults(copied.fault) })
  const startedAt = Date.now()
  await copied.reached
  const after = await ledger()
  expect(after.slice(0, before.length)).toEqual(before)
  expect(after.filter((line) => line.startsWith('["restart"'))).toEqual([])
  expectNothingTwice(after)
  copied.open()
  const { files } = await run.result()
  console.info(
    `${written(before).length} of ${written(after).length} pieces were done when it was told to end; the rest took ${Date.now() - startedAt} ms; ${files} files`,
  )
  expect((await run.status()).state).toBe('completed')
  await expectInService(world, replica)
  await next.stop()
  await control.stop()
}, 120_000)

test('a control that is told to end in mid-run leaves in order; the copy does not notice, and the next one goes on', async () => {
  const control = startKeeper(world, 'control')
  const agent = await startCrashingAgent(world, replica, SLOW)
  await eventually(
    async () => control.stderr(),
    (said) => said.includes('"event":"ready"'),
  )
  const run = await startBackup(world, replica.alias)
  await awaitStep(replica, 'copyFiles')
  control.child.kill('SIGTERM')
  expect((await control.ended).status).toBe(0)
  const next = await world.startControl()
  const { backup } = await run.result()
  expect(await world.stored()).toContainEqual({ name: backup, complete: true })
  expect(await attemptsOf(world, run, 'copyFiles')).toEqual([1])
  await expectInService(world, replica)
  await agent.stop()
  await next.stop()
}, 120_000)

test('an agent that waits for a disk that hangs ends all the same when it is told to, and says what it waited for', async () => {
  const agent = await startCrashingAgent(world, replica)
  const record = join(replica.datadir, '.tabletkeeper/clone-hung.json')
  await promisify(execFile)('mkfifo', [record])
  // Nobody can open it for writing before the agent reads it, who then waits until something is written.
  const hung = await eventually(
    async () => await open(record, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined),
    (handle) => handle !== undefined,
  )
  const toldAt = Date.now()
  expect(await agent.stop()).toBeNull()
  expect(Date.now() - toldAt).toBeGreaterThan(20_000)
  expect(await agent.said()).toMatch(/"event":"killed","waitsFor":\[[^\]]*"FSReq/)
  await hung?.close()
  await rm(record)
  await expectInService(world, replica)
})

test('an agent whose port is taken says so, and ends', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port: listenPort } = taken.address() as AddressInfo
  const config = join(world.directory, 'taken.yaml')
  await writeFile(config, world.shard.configText({ storageRoot: world.storageRoot, listenPort }))
  const { status, stderr } = await runKeeper(world, 'agent', '--tablet', replica.alias, '--config', config)
  taken.close()
  expect(status).toBe(EXIT_CODES.InvalidConfig)
  expect(stderr).toContain(`agent.listen 127.0.0.1:${listenPort} cannot be listened on`)
})

test('an agent that fails takes no step any more', async () => {
  const control = await world.startControl()
  const failing = world.startAgent(replica.alias, {
    onReady: () => {
      throw new Error('failed after its workers had begun')
    },
  })
  await expect(failing).rejects.toThrow('failed after its workers had begun')
  const run = await world.keeper.backup({ ...world.input(replica.alias), agentTimeout: '3s' })
  await expect(run.result()).rejects.toMatchObject({ type: 'NoAgent' })
  await control.stop()
})
