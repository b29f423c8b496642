import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { BackupResult } from '../../model/runs.ts'
import { freePort } from '../../sandbox/free-port.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startCli } from '../client/command-line.ts'
import { eventually, expectInService } from './assertions.ts'
import { type CrashingAgent, SLOW, startCrashingAgent } from './crashing-agent.ts'
import { awaitReturned, awaitStep, leaseOf, startBackup, terminate } from './held-tablet.ts'
import { QUICK, startWorld, type World } from './world.ts'

const BOOT = /"boot":"[^"]+"/
const ANOTHER_BOOT = '"boot":"00000000-0000-0000-0000-000000000000"'

/** The host of a tablet that is held is started again: nothing of what ran runs, and the lease is on the disk. */
describe('a reboot in mid-copy', () => {
  let world: World
  let replica: SampleTablet
  const processes: CrashingAgent[] = []

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
  })
  afterEach(async () => {
    await Promise.all(processes.splice(0).map((one) => one.kill()))
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function startAgent(yaml = QUICK): Promise<CrashingAgent> {
    const agent = await startCrashingAgent(world, replica, yaml)
    processes.push(agent)
    return agent
  }

  const copies = (): string => join(replica.datadir, '.tabletkeeper/copies')

  /** Records of what was copied since the last boot; runs that failed leave theirs. */
  async function freshRecords(): Promise<{ readonly path: string; readonly text: string }[]> {
    const names = await readdir(copies()).catch(() => [])
    const records = await Promise.all(
      names.map(async (name) => ({ path: join(copies(), name), text: await readFile(join(copies(), name), 'utf8') })),
    )
    return records.filter(({ text }) => BOOT.test(text) && !text.includes(ANOTHER_BOOT))
  }

  /** Each names the boot after which it can be trusted: here, another one from now on. */
  async function beAfterAnotherBoot(): Promise<void> {
    for (const { path, text } of await freshRecords()) await writeFile(path, text.replace(BOOT, ANOTHER_BOOT))
  }

  /** A backup whose host has been started again; nothing has been started on it by then. */
  async function rebooted(): Promise<RunHandle<BackupResult>> {
    const agent = await startAgent(SLOW)
    const run = await startBackup(world, replica.alias)
    await awaitStep(replica, 'copyFiles')
    await eventually(freshRecords, (records) => records.length > 0)
    await agent.kill()
    expect(await replica.pid()).toBeUndefined()
    expect(await leaseOf(replica)).toMatchObject({ runId: run.runId, state: 'held', type: 'BACKUP' })
    await beAfterAnotherBoot()
    return run
  }

  test('after which nothing starts mysqld: the run goes on, and trusts nothing that may not have been written', async () => {
    const run = await rebooted()
    await startAgent()
    const { backup } = await run.result()
    expect(await world.stored()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
  })

  test('after which mysqld starts by itself: it serves nobody and does not replicate, the run fails, the tablet is back', async () => {
    const run = await rebooted()
    const before = (await world.stored()).filter(({ complete }) => complete)
    await replica.start()
    const [mode] = await replica.query<object>('SELECT @@global.super_read_only AS superReadOnly')
    const [status] = await replica.query<object>('SHOW REPLICA STATUS')
    expect(mode).toEqual({ superReadOnly: 1 })
    expect(status).toMatchObject({ Replica_IO_Running: 'No', Replica_SQL_Running: 'No' })
    await startAgent()
    await expect(run.result()).rejects.toMatchObject({
      type: 'FenceBroken',
      step: 'copyFiles',
      returnedBy: 'workflow',
      message: expect.stringContaining(`somebody started mysqld of ${replica.alias}`),
    })
    await expectInService(world, replica)
    expect((await world.stored()).filter(({ complete }) => complete)).toEqual(before)
  })

  test('after which Temporal is not there: the agent returns the tablet by itself', async () => {
    const run = await rebooted()
    const config = join(world.directory, 'impatient.yaml')
    const yaml = world.shard.configText({ storageRoot: world.storageRoot, listenPort: await freePort() })
    await writeFile(config, yaml.replace('agent:\n', 'agent:\n  deadManTimeout: 2s\n'))
    const agent = startCli(['agent', '--tablet', replica.alias, '--config', config], {
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    })
    try {
      await awaitReturned(replica)
      await expectInService(world, replica)
    } finally {
      agent.child.kill('SIGTERM')
    }
    await agent.ended
    await terminate(world, run)
  })

  test('after which the run is gone: the agent returns the tablet, and nothing of the copy is published', async () => {
    const run = await rebooted()
    const before = await world.stored()
    await terminate(world, run)
    await startAgent()
    await awaitReturned(replica)
    await expectInService(world, replica)
    expect((await world.stored()).filter(({ complete }) => complete)).toEqual(before.filter(({ complete }) => complete))
  })
})
