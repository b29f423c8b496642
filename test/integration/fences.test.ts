import { existsSync } from 'node:fs'
import { readdir, readFile, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { BackupResult } from '../../model/runs.ts'
import { mountFull } from '../../sandbox/full-file-system.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { copyLedgerPath } from '../../tablets/copy-ledger-path.ts'
import { NO_MOUNTS } from '../storage/mounts.ts'
import { eventually, expectInService } from './assertions.ts'
import { SLOW } from './crashing-agent.ts'
import { type Fault, withFaults } from './faults.ts'
import { awaitStep, startBackup } from './held-tablet.ts'
import { type Running, startWorld, type World } from './world.ts'

type Stored = Awaited<ReturnType<World['stored']>>

interface Started {
  readonly run: RunHandle<BackupResult>
  /** Complete backups that were there. */
  readonly before: Stored
}

/** Every mysqld that was started on the tablet's files, also one that waits for another's. */
async function processesOf({ defaultsFile }: SampleTablet): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0)
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_, index) => lines[index]?.includes(`--defaults-file=${defaultsFile}`))
}

describe('a copy belongs to one cleanly stopped mysqld', () => {
  let world: World
  let replica: SampleTablet
  let agent: Running | undefined

  beforeAll(async () => {
    world = await startWorld({ yaml: SLOW })
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
  })
  afterEach(async () => {
    await agent?.stop()
    agent = undefined
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function backupWith(...faults: Fault[]): Promise<Started> {
    agent = await world.startAgent(replica.alias, { interceptors: withFaults(...faults) })
    const before = await complete()
    return { run: await startBackup(world, replica.alias), before }
  }

  const complete = async (): Promise<Stored> => (await world.stored()).filter((backup) => backup.complete)

  async function restart(): Promise<void> {
    await replica.start()
    await replica.query('SET GLOBAL super_read_only = ON')
  }

  const persisted = () => replica.query('SELECT variable_name FROM performance_schema.persisted_variables')

  async function writeByHand(): Promise<void> {
    await using connection = await replica.connect()
    await connection.query('SET GLOBAL super_read_only = OFF')
    await connection.query('SET sql_log_bin = 0')
    await connection.query('CREATE TABLE IF NOT EXISTS commerce.by_hand (id INT PRIMARY KEY)')
    await connection.query('DROP TABLE commerce.by_hand')
  }

  test.each([
    ['is still there', async (): Promise<void> => undefined, 'somebody started mysqld of'],
    ['has gone again', (): Promise<void> => replica.stop(), 'ran after it was stopped for this backup'],
  ] as const)('one that somebody starts before the copy and that %s is noticed', async (_what, then, message) => {
    const happens = async () => {
      await replica.start()
      await writeByHand()
      await then()
    }
    const { run, before } = await backupWith({ at: 'copyFiles', when: 'before', happens })
    await expect(run.result()).rejects.toMatchObject({
      type: 'FenceBroken',
      step: 'copyFiles',
      message: expect.stringContaining(message),
    })
    expect(await complete()).toEqual(before)
    await expectInService(world, replica)
  })

  test('one that somebody starts in mid-copy does not come up before the copy is done', async () => {
    const { run } = await backupWith({ at: 'checkBackup', when: 'before', happens: () => undefined })
    await awaitStep(replica, 'copyFiles')
    // The step begins before it has locked the files, its record after.
    const { backup: name } = await run.progress()
    await eventually(
      async () => existsSync(copyLedgerPath(replica.datadir, name ?? '')),
      (isRecorded) => isRecorded,
    )
    // It waits for the lock, as the agent's own does after the copy: of two that start at once one gives up, and is gone.
    const starting = replica.start().catch(() => undefined)
    const { backup } = await run.result()
    await starting
    expect(await processesOf(replica)).toEqual([await replica.pid()])
    expect(await complete()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
  })

  test('one that is down for a moment when the tablet is to be taken is waited for, and gets its own settings back', async () => {
    const { run } = await backupWith(
      { at: 'takeTablet', when: 'before', happens: () => replica.stop() },
      { at: 'takeTablet', when: 'before', happens: restart },
    )
    const { backup } = await run.result()
    expect(await complete()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
    expect(await persisted()).toEqual([])
  })

  test('one that was killed instead of stopped is started and stopped again', async () => {
    const { run } = await backupWith({ at: 'stopMysqld', when: 'before', happens: () => replica.kill() })
    const { backup } = await run.result()
    expect(await complete()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
  })

  test('one that ends while the tablet catches up is started once more, since the copy was proven before', async () => {
    const happens = async (): Promise<void> => {
      await replica.kill()
      throw ApplicationFailure.retryable('the connection to mysqld was lost', 'MysqldFailed')
    }
    const { run } = await backupWith({ at: 'rejoin', when: 'after', happens })
    const { backup, type } = await run.result()
    expect(type).toBe('REPLICA')
    expect(await complete()).toContainEqual({ name: backup, complete: true })
    await expectInService(world, replica)
    expect(await persisted()).toEqual([])
  })

  test('one that comes up with other transactions than were read is no proof of the position', async () => {
    const happens = async () => {
      await replica.start()
      await using connection = await replica.connect()
      await connection.query('SET GLOBAL super_read_only = OFF')
      await connection.query("SET gtid_next = '98880065-e813-11f1-976c-02fc00000001:1'")
      await connection.query('COMMIT')
      await connection.query("SET gtid_next = 'AUTOMATIC'")
      await connection.query('SET GLOBAL super_read_only = ON')
    }
    const { run, before } = await backupWith({ at: 'startMysqld', when: 'before', happens })
    await expect(run.result()).rejects.toMatchObject({
      type: 'FenceBroken',
      step: 'startMysqld',
      message: expect.stringMatching(/came back at .*:1,?.*, and not at .* where it was stopped/s),
    })
    expect(await complete()).toEqual(before)
    await expectInService(world, replica)
  })
})

describe.skipIf(NO_MOUNTS !== undefined)('storage without room for another backup', () => {
  test('refuses it before the tablet is taken', async () => {
    await using disk = await mountFull(120)
    await using world = await startWorld({ storageRoot: disk.path })
    await world.startControl()
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    await world.startAgent(replica.alias)
    const first = await (await startBackup(world, replica.alias)).result()
    const free = async () => {
      const { bavail, bsize } = await statfs(disk.path)
      return bavail * bsize
    }
    const fill = async (left: number) => await writeFile(join(disk.path, '.more'), Buffer.alloc((await free()) - left))
    const pid = await replica.pid()
    await fill(Math.round(first.storedBytes / 4))
    const run = await startBackup(world, replica.alias)
    await expect(run.result()).rejects.toMatchObject({
      type: 'Refused',
      step: 'preflight',
      message: expect.stringMatching(/has no room for its backup: .* are free in .*, and .* takes /),
    })
    expect(await replica.pid()).toBe(pid)
  }, 120_000)
})
