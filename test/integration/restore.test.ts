import { cp, mkdir, open, readdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import { parseBackupName } from '../../model/backup-name.ts'
import type { Config } from '../../model/config.ts'
import type { BackupResult, RestoreInput, RestoreResult } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { NO_MOUNTS, smallDisk } from '../storage/mounts.ts'
import { type Fault, withFaults } from './faults.ts'
import { addReplica, expectOldData, expectRestored, failureOf, standingOf, startRestore } from './restored.ts'
import { startWorld, type World } from './world.ts'

const MOUNTED = NO_MOUNTS === undefined ? 'a mount point of its own' : `no mount point (${NO_MOUNTS})`

describe('a restore into a tablet that has data', () => {
  let world: World
  let tablet: SampleTablet
  let first: BackupResult
  let second: BackupResult

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    tablet = replica
    const agent = await world.startAgent(replica.alias)
    first = await (await world.keeper.backup(world.input(replica.alias))).result()
    await world.shard.primary.query('CREATE TABLE commerce.later (id INT PRIMARY KEY)')
    second = await (await world.keeper.backup(world.input(replica.alias))).result()
    await agent.stop()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Restores a tablet, and checks what came of it while its agent still runs. */
  async function restore(
    target: SampleTablet,
    config: Config,
    input: Omit<RestoreInput, 'shard' | 'tablet'>,
    check: (run: RunHandle<RestoreResult>) => Promise<void>,
    ...faults: Fault[]
  ): Promise<void> {
    const agent = await world.startAgent(target.alias, { config, interceptors: withFaults(...faults) })
    try {
      await check(await startRestore(world, target, input))
    } finally {
      await agent.stop()
    }
  }

  const withAgent = (agent: Partial<Config['agent']>): Config => {
    const config = world.config()
    return { ...config, agent: { ...config.agent, ...agent } }
  }

  /** The configuration with a copy of the storage, of which `change` may damage what it likes. */
  async function withStorage(name: string, change: (root: string) => Promise<void>): Promise<Config> {
    const root = join(world.directory, name)
    await cp(world.storageRoot, root, { recursive: true })
    await change(root)
    return { ...world.config(), storage: { kind: 'file', root } }
  }

  test(`replaces them where the data directory is ${MOUNTED}, under write load, and nothing of the way is left`, async () => {
    const mounted = await addReplica(world, 110, NO_MOUNTS === undefined ? await smallDisk(700) : undefined)
    onTestFinished(() => mounted.stop())
    await mounted.query('SET PERSIST_ONLY max_connect_errors = 4711, PERSIST event_scheduler = OFF')
    const before = await standingOf(mounted)
    const load = await world.shard.writeLoad()
    await restore(mounted, world.config(), {}, async (run) => {
      const result = await run.result()
      expect(result).toMatchObject({ backup: second.backup, position: second.position, type: 'REPLICA' })
      await load.stop()
      await expectRestored(world, mounted, before)
    })
    const position = second.position.replace('MySQL56/', '')
    const contained = 'SELECT GTID_SUBSET(?, @@global.gtid_purged) AS contained'
    expect(await mounted.query(contained, [position])).toEqual([{ contained: 1 }])
    expect(before).toMatchObject({ eventScheduler: 'OFF', persisted: { max_connect_errors: '4711' } })
  })

  test('is refused where the tablet has transactions that the primary lacks; nothing is changed until its host says always', async () => {
    const before = await standingOf(tablet)
    const pid = await tablet.pid()
    const happens = async () => {
      await tablet.query('SET GLOBAL super_read_only = OFF')
      await tablet.query('CREATE DATABASE errant')
      await tablet.query('SET GLOBAL super_read_only = ON')
    }
    const afterPreflight = async (run: RunHandle<RestoreResult>) => {
      expect(await failureOf(run)).toMatchObject({ type: 'Refused', step: 'stopMysqld', returnedBy: 'workflow' })
      await expectOldData(world, tablet, before)
      expect(await tablet.pid()).toBe(pid)
    }
    await restore(tablet, world.config(), {}, afterPreflight, { at: 'stopMysqld', when: 'before', happens })
    await restore(tablet, world.config(), {}, async (run) => {
      const failure = await failureOf(run)
      expect(failure).toMatchObject({ type: 'Refused', step: 'preflight', returnedBy: 'nobody' })
      expect(failure.message).toContain(`transactions that the primary ${world.shard.primary.alias} lacks`)
      expect(failure.message).toContain(`${before.serverUuid}:1`)
      await expectOldData(world, tablet, before)
      expect(await tablet.pid()).toBe(pid)
    })
    await restore(tablet, withAgent({ replaceData: 'never' }), {}, async (run) => {
      const message = expect.stringContaining('agent.replaceData is never')
      expect(await failureOf(run)).toMatchObject({ type: 'Refused', message })
    })
    await restore(tablet, withAgent({ replaceData: 'always' }), { backup: first.backup }, async (run) => {
      expect(await run.result()).toMatchObject({ backup: first.backup, position: first.position })
      await expectRestored(world, tablet, before)
    })
    expect(await tablet.query("SHOW DATABASES LIKE 'errant'")).toEqual([])
  })

  test('is refused where mysqld is down and nobody can tell what would be lost, unless its host says always', async () => {
    const before = await standingOf(tablet)
    await tablet.stop()
    await restore(tablet, world.config(), {}, async (run) => {
      const message = expect.stringContaining('its mysqld is down')
      expect(await failureOf(run)).toMatchObject({ type: 'Refused', message })
      expect(await tablet.pid()).toBeUndefined()
    })
    const config = withAgent({ replaceData: 'always' })
    await restore(tablet, config, { before: parseBackupName(second.backup).time.toISOString() }, async (run) => {
      expect(await run.result()).toMatchObject({ backup: first.backup })
      await expectRestored(world, tablet, before)
    })
  })

  test.each([
    ['goes back when the restore fails', true],
    ['is as before on the new data', false],
  ] as const)('of a mysqld that is started only after the tablet was taken: it %s', async (_what, fails) => {
    const before = await standingOf(tablet)
    await tablet.stop()
    const starts = async () => {
      await tablet.start()
      await tablet.query('SET GLOBAL super_read_only = ON')
    }
    const breaks = () => {
      if (fails) throw ApplicationFailure.nonRetryable('made to fail', 'CorruptBackup')
    }
    await restore(
      tablet,
      withAgent({ replaceData: 'always' }),
      {},
      async (run) => {
        if (fails) expect(await failureOf(run)).toMatchObject({ type: 'CorruptBackup', step: 'downloadFiles' })
        else expect(await run.result()).toMatchObject({ backup: second.backup })
        await (fails ? expectOldData : expectRestored)(world, tablet, before)
      },
      { at: 'stopMysqld', when: 'before', happens: starts },
      { at: 'downloadFiles', when: 'before', happens: breaks },
    )
  })

  test('is refused where a replica is broken, which is bootstrapped when its data were moved aside', async () => {
    await tablet.stop()
    await truncate(join(tablet.datadir, 'mysql.ibd'), 1_000_000)
    await restore(tablet, world.config(), {}, async (run) => {
      const aside = `move what is in ${tablet.datadir} (not .tabletkeeper) aside and type tabletkeeper bootstrap ${tablet.alias}`
      const hint = expect.stringContaining(aside)
      expect(await failureOf(run)).toMatchObject({ type: 'Refused', step: 'preflight', hint })
      const away = join(world.directory, 'aside')
      await mkdir(away)
      for (const name of (await readdir(tablet.datadir)).filter((entry) => !entry.startsWith('.')))
        await rename(join(tablet.datadir, name), join(away, name))
      const bootstrapped = await world.keeper.bootstrap(world.input(tablet.alias))
      expect(await bootstrapped.result()).toMatchObject({ backup: second.backup, type: 'REPLICA' })
    })
    await world.shard.awaitReplicated(tablet)
  })

  test('from an object with one wrong byte fails before anything is swapped, and the old data serve again', async () => {
    const config = await withStorage('flipped', async (root) => {
      const path = join(root, world.shard.shard, second.backup, '0')
      const { size } = await stat(path)
      await using object = await open(path, 'r+')
      const { buffer } = await object.read(Buffer.alloc(1), 0, 1, Math.floor(size / 2))
      await object.write(Buffer.of((buffer[0] ?? 0) ^ 0x10), 0, 1, Math.floor(size / 2))
    })
    const before = await standingOf(tablet)
    await restore(tablet, config, {}, async (run) => {
      const failure = await failureOf(run)
      expect(failure).toMatchObject({ type: 'CorruptBackup', step: 'downloadFiles', returnedBy: 'workflow' })
      expect(failure.message).toContain(`${second.backup}/0`)
      await expectOldData(world, tablet, before)
    })
  })

  test('whose MANIFEST tells another position than the data fails before their history is reset, and the old data come back', async () => {
    const config = await withStorage('mispositioned', async (root) => {
      const path = join(root, world.shard.shard, second.backup, 'MANIFEST')
      const manifest = await readFile(path, 'utf8')
      await writeFile(path, manifest.replaceAll(second.position, first.position))
    })
    const before = await standingOf(tablet)
    await restore(tablet, config, {}, async (run) => {
      const failure = await failureOf(run)
      expect(failure).toMatchObject({ type: 'CorruptBackup', step: 'confirmRestore', returnedBy: 'workflow' })
      expect(failure.message).toContain(`stand at ${second.position}, the backup says ${first.position}`)
      await expectOldData(world, tablet, before)
    })
  })
})
