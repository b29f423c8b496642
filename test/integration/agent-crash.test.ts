import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TabletAlias } from '../../model/alias.ts'
import { freePort } from '../../sandbox/free-port.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startCli } from '../client/command-line.ts'
import { eventually, expectInService } from './assertions.ts'
import { type CrashingAgent, SLOW, startCrashingAgent } from './crashing-agent.ts'
import { awaitReturned, awaitStep, leaseOf, SIX, startBackup, terminate } from './held-tablet.ts'
import { runKeeper } from './keeper-command.ts'
import { awaitedHeartbeats } from './run-history.ts'
import { QUICK, startWorld, type World } from './world.ts'

let world: World
let replica: SampleTablet
let alias: TabletAlias
const processes: CrashingAgent[] = []

beforeAll(async () => {
  world = await startWorld()
  await world.startControl()
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
  alias = first.alias
})
afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.kill()))
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

async function startProcess(yaml?: string): Promise<CrashingAgent> {
  const agent = await startCrashingAgent(world, replica, yaml)
  processes.push(agent)
  return agent
}

describe('an agent that is killed', () => {
  test.each(SIX)('in step %s and started again: the run resumes at once and completes', async (step) => {
    const agent = await startProcess(step === 'copyFiles' ? SLOW : QUICK)
    const run = await startBackup(world, alias)
    await awaitStep(replica, step)
    await agent.kill()
    await startProcess()
    const { backup } = await run.result()
    expect(await awaitedHeartbeats(world, run)).toEqual([])
    expect(await world.stored()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
  })

  test('in step publishBackup, when no lease names the run any more: it resumes at once and completes', async () => {
    const agent = await startProcess()
    const run = await startBackup(world, alias)
    await awaitStep(replica, 'startMysqld')
    const { backup: name } = await run.progress()
    const manifest = join(world.storageRoot, world.shard.shard, name ?? '', 'MANIFEST')
    // Whoever looks whether it is published already waits for somebody who writes into it.
    await promisify(execFile)('mkfifo', [manifest])
    await eventually(
      () => run.status(),
      ({ activity }) => activity?.step === 'publishBackup' && activity.state === 'working',
    )
    await agent.kill()
    expect(await leaseOf(replica)).toBeUndefined()
    await rm(manifest)
    await startProcess()
    const { backup } = await run.result()
    expect(await awaitedHeartbeats(world, run)).toEqual([])
    expect(await world.stored()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
  })

  test('in mid-copy, its run terminated meanwhile: the next one returns the tablet', async () => {
    const agent = await startProcess(SLOW)
    const run = await startBackup(world, alias)
    await awaitStep(replica, 'copyFiles')
    await agent.kill()
    await terminate(world, run)
    expect(await leaseOf(replica)).toMatchObject({ runId: run.runId, type: 'BACKUP' })
    await startProcess()
    // The dead man's timeout, a quarter of an hour, is longer than this waits.
    await awaitReturned(replica)
    await expectInService(world, replica)
  })
})

describe('a return that failed or was interrupted', () => {
  test('is finished by the next agent as soon as it can be, without Temporal', async () => {
    const agent = await startProcess(SLOW)
    const run = await startBackup(world, alias)
    await awaitStep(replica, 'copyFiles')
    await agent.kill()
    await world.shard.primary.stop()
    try {
      expect(await runKeeper(world, 'agent', 'return', alias)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining(`no tablet of ${world.shard.shard} takes writes`),
      })
    } finally {
      await world.shard.primary.start()
    }
    expect(await leaseOf(replica)).toMatchObject({ runId: run.runId, state: 'returning' })

    const config = join(world.directory, 'no-temporal.yaml')
    await writeFile(config, world.shard.configText({ ...world, listenPort: await freePort() }))
    const next = startCli(['agent', '--tablet', alias, '--config', config], { TEMPORAL_ADDRESS: '127.0.0.1:1' })
    try {
      await awaitReturned(replica)
      await expectInService(world, replica)
    } finally {
      next.child.kill('SIGTERM')
    }
    expect((await next.ended).status).toBe(0)
    await terminate(world, run)
  })
})
