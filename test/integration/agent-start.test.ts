import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunFailed } from '../../client/run-failure.ts'
import { type Config, findTablet } from '../../model/config.ts'
import type { BackupResult, RestoreResult } from '../../model/runs.ts'
import type { ReplicaType } from '../../model/tablet-type.ts'
import { createAdminUserStatements } from '../../mysql/admin/grants.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { FileStore } from '../../storage/file/file.ts'
import type { AgentOptions } from '../../workers/agent.ts'
import { eventually, expectInService } from './assertions.ts'
import { withFaults } from './faults.ts'
import { askHealth } from './health.ts'
import { expectEmpty, expectNothingLeft, failureOf, standingOf } from './restored.ts'
import { startWorld, type World } from './world.ts'

type Storage = 'with backups' | 'without any' | 'that cannot be listed'
type Outcome = 'is restored' | 'starts as new' | 'stays empty, with the reason' | 'stays empty' | 'is left alone'

const CASES: readonly [
  restoreFromBackup: boolean,
  tablet: 'that is empty' | 'that has data',
  storage: Storage,
  outcome: Outcome,
][] = [
  [true, 'that is empty', 'with backups', 'is restored'],
  [true, 'that is empty', 'without any', 'starts as new'],
  [true, 'that is empty', 'that cannot be listed', 'stays empty, with the reason'],
  [true, 'that has data', 'with backups', 'is left alone'],
  [true, 'that has data', 'without any', 'is left alone'],
  [true, 'that has data', 'that cannot be listed', 'is left alone'],
  [false, 'that is empty', 'with backups', 'stays empty'],
  [false, 'that is empty', 'without any', 'stays empty'],
  [false, 'that is empty', 'that cannot be listed', 'stays empty'],
  [false, 'that has data', 'with backups', 'is left alone'],
  [false, 'that has data', 'without any', 'is left alone'],
  [false, 'that has data', 'that cannot be listed', 'is left alone'],
]

describe('when its agent starts', () => {
  let world: World
  let backup: BackupResult
  let full: SampleTablet
  let roots: Readonly<Record<Storage, string>>
  let uid = 110

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    full = replica
    await logAgentAccount(full)
    const agent = await world.startAgent(full.alias)
    backup = await (await world.keeper.backup(world.input(full.alias))).result()
    await agent.stop()
    const [another, unmounted] = ['another-shard', 'unmounted'].map((name) => join(world.directory, name))
    roots = {
      'with backups': world.storageRoot,
      'without any': another ?? '',
      'that cannot be listed': unmounted ?? '',
    }
    await mkdir(roots['that cannot be listed'])
    await mkdir(roots['without any'])
    const store = new FileStore(roots['without any'])
    await store.put('other/0/2026-01-01.000000.zone1-0000000900/0', Buffer.from('of another shard'))
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Accounts that are made on the primary come to its replicas by its binary log, the agent's too. */
  async function logAgentAccount(replica: SampleTablet): Promise<void> {
    for (const tablet of [replica, world.shard.primary]) {
      await using connection = await tablet.connect()
      await connection.query('SET GLOBAL super_read_only = OFF')
      await connection.query('SET sql_log_bin = 0')
      await connection.query('DROP USER tabletkeeper@localhost')
      await connection.query('SET sql_log_bin = 1')
      if (tablet === replica) {
        await connection.query('SET GLOBAL super_read_only = ON')
        continue
      }
      const login = { operatingSystemUser: userInfo().username }
      for (const statement of createAdminUserStatements('tabletkeeper', login)) {
        await connection.query(statement.replace(' IF NOT EXISTS', ''))
      }
    }
    await world.shard.awaitReplicated(replica)
  }

  function configured(storage: string, restoreFromBackup = true): Config {
    const config = world.config()
    return { ...config, storage: { kind: 'file', root: storage }, agent: { ...config.agent, restoreFromBackup } }
  }

  function withType(config: Config, { alias }: SampleTablet, type: ReplicaType): Config {
    const tablets = new Map(config.shards.get(world.shard.shard))
    tablets.set(alias, { ...findTablet(config, alias), type })
    return { ...config, shards: new Map([[world.shard.shard, tablets]]) }
  }

  /** Runs an agent of `tablet` until `check` is done. */
  async function started(
    tablet: SampleTablet,
    agent: Partial<AgentOptions>,
    check: () => Promise<void>,
  ): Promise<void> {
    const running = await world.startAgent(tablet.alias, agent)
    try {
      await check()
    } finally {
      await running.stop()
    }
  }

  const addEmpty = () => world.shard.addTablet(uid++)

  const bootstrapOf = ({ alias }: Pick<SampleTablet, 'alias'>) =>
    world.keeper.handle(`bootstrap/${world.shard.shard}/${alias}`)

  /** The bootstrap that the agent began, after an earlier one or as the first. */
  async function begun(tablet: SampleTablet, earlier?: { readonly runId: string }) {
    return await eventually(
      async () => {
        const run = bootstrapOf(tablet)
        await run.status().catch(() => undefined)
        return run
      },
      ({ runId }) => runId !== '' && runId !== earlier?.runId,
    )
  }

  async function expectBootstrapped(
    tablet: SampleTablet,
    expected: Partial<RestoreResult>,
    earlier?: { readonly runId: string },
  ): Promise<void> {
    const run = await begun(tablet, earlier)
    expect(await run.result()).toMatchObject(expected)
    await expectFound(tablet, run.runId)
    await expectInService(world, tablet)
    await expectNothingLeft(tablet)
    const { persisted, serverId } = await standingOf(tablet)
    expect(persisted).toEqual({ server_id: String(serverId) })
    const { type } = expected
    await eventually(
      () => askHealth(world, tablet.alias),
      (answer) => answer.status === 200 && answer.type === type,
    )
  }

  /** Lists tell which tablet it is about, though no client started it. */
  async function expectFound({ alias }: SampleTablet, runId: string | undefined): Promise<void> {
    const { shard } = world.shard
    expect((await bootstrapOf({ alias }).status()).subject).toEqual({ shard, tablet: alias })
    const query = `TabletkeeperTablet = '${alias}' AND TabletkeeperKind = 'bootstrap' AND TabletkeeperShard = '${shard}'`
    const listed = async (): Promise<string[]> => {
      const ids: string[] = []
      for await (const one of world.client.workflow.list({ query })) ids.push(one.runId)
      return ids
    }
    await eventually(listed, (ids) => ids.includes(runId ?? ''))
  }

  async function expectStaysEmpty(tablet: SampleTablet, reason: RegExp): Promise<void> {
    await eventually(
      () => askHealth(world, tablet.alias),
      (answer) => answer.status === 503 && reason.test(answer.reason),
    )
    await expectEmpty(tablet)
  }

  test.for(CASES)(
    'and restoreFromBackup is %s, a tablet %s, with a storage %s, %s',
    async ([restoreFromBackup, what, storage, outcome]) => {
      const tablet = what === 'that is empty' ? await addEmpty() : full
      const before = what === 'that is empty' ? undefined : { ...(await standingOf(full)), pid: await full.pid() }
      await started(tablet, { config: configured(roots[storage], restoreFromBackup) }, async () => {
        if (outcome === 'is restored') {
          await expectBootstrapped(tablet, { backup: backup.backup, position: backup.position, type: 'REPLICA' })
        } else if (outcome === 'starts as new') {
          await expectBootstrapped(tablet, { backup: null, position: null, type: 'REPLICA' })
        } else if (outcome === 'stays empty, with the reason') {
          const run = await begun(tablet)
          expect(await failureOf(run)).toMatchObject({ type: 'StorageUnavailable', step: 'findBackup' })
          await expectStaysEmpty(tablet, /is empty and was never written to: is it mounted\?/)
        } else if (outcome === 'stays empty') {
          await expectStaysEmpty(tablet, /bootstrap it/)
        } else {
          await expectInService(world, full)
        }
      })
      if (outcome === 'stays empty' || outcome === 'is left alone') {
        await expect(bootstrapOf(tablet).status()).rejects.toMatchObject({ type: 'NotFound' })
      }
      if (before !== undefined) expect({ ...(await standingOf(full)), pid: await full.pid() }).toEqual(before)
    },
  )

  test('an empty tablet whose storage is not mounted yet is restored when it is', async () => {
    const root = join(world.directory, 'late')
    await mkdir(root)
    const tablet = await addEmpty()
    await started(tablet, { config: configured(root), initTabletType: 'RDONLY' }, async () => {
      await failureOf(await begun(tablet))
      await rm(root, { recursive: true })
      await rename(world.storageRoot, root)
      try {
        await eventually(
          () => askHealth(world, tablet.alias),
          (answer) => answer.status === 200 && answer.type === 'RDONLY',
        )
      } finally {
        await rename(root, world.storageRoot)
      }
    })
  })

  test.for([
    ['whose root is gone', 'InvalidConfig', async (root: string) => rm(root, { recursive: true })],
    [
      'with backups of the shard of which none is complete',
      'CorruptBackup',
      async (root: string) => {
        const directory = join(root, world.shard.shard, backup.backup)
        await mkdir(directory, { recursive: true })
        await writeFile(join(directory, '0'), 'half of it')
      },
    ],
    [
      'of which the directory of the shard cannot be read',
      'StorageUnavailable',
      async (root: string) => {
        await mkdir(join(root, 'commerce'))
        // A loop of links cannot be read by anybody; root reads what permissions deny.
        await symlink('0', join(root, 'commerce', '0'))
      },
    ],
  ] as const)('an empty tablet with a storage %s stays empty: %s', async ([, type, change]) => {
    const root = join(world.directory, `changed-${uid}`)
    await mkdir(root)
    await new FileStore(root).put('other/0/2026-01-01.000000.zone1-0000000900/0', Buffer.from('of another shard'))
    await change(root)
    const tablet = await addEmpty()
    await started(tablet, { config: configured(root) }, async () => {
      const failure = await failureOf(await begun(tablet))
      expect(failure).toMatchObject({ type, step: 'findBackup', returnedBy: 'nobody' })
      if (type === 'CorruptBackup') expect(failure.message).toContain(`${backup.backup} (incomplete)`)
      await expectStaysEmpty(tablet, new RegExp(failure.message.replaceAll(/[()./?]/g, '.')))
    })
  })

  test.for(['downloadFiles', 'confirmRestore', 'rejoin'])(
    'a bootstrap that fails at step %s leaves the tablet empty; the next one succeeds, as what a flag says against the configuration',
    async (step) => {
      const tablet = await addEmpty()
      const happens = () => {
        throw ApplicationFailure.nonRetryable('made to fail', 'MysqldFailed')
      }
      let failure: RunFailed | undefined
      const config = withType(configured(world.storageRoot), tablet, 'RDONLY')
      await started(tablet, { config, interceptors: withFaults({ at: step, when: 'after', happens }) }, async () => {
        failure = await failureOf(await begun(tablet))
        expect(failure).toMatchObject({ message: 'made to fail', returnedBy: 'workflow' })
        await expectStaysEmpty(tablet, /made to fail/)
      })
      if (step !== 'rejoin') return
      await started(tablet, { config, initTabletType: 'REPLICA' }, () =>
        expectBootstrapped(tablet, { backup: backup.backup, type: 'REPLICA' }, failure),
      )
    },
  )

  test('a tablet that is configured as rdonly is not bootstrapped as replica by somebody afar', async () => {
    const tablet = await addEmpty()
    const config = withType(configured(world.storageRoot, false), tablet, 'RDONLY')
    await started(tablet, { config }, async () => {
      const run = await world.keeper.bootstrap({ ...world.input(tablet.alias), type: 'REPLICA' })
      const failure = await failureOf(run)
      expect(failure).toMatchObject({ type: 'Refused', step: 'preflight', returnedBy: 'nobody' })
      expect(failure.message).toContain('is configured as RDONLY, not as REPLICA')
      await expectStaysEmpty(tablet, /bootstrap it/)
    })
  })

  test('an empty tablet without backups stays empty when the primary no longer has all of its binary logs', async () => {
    const { primary } = world.shard
    await primary.query('FLUSH BINARY LOGS')
    await world.shard.awaitReplicated(full)
    const [last] = await primary.query<{ File: string }>('SHOW BINARY LOG STATUS')
    await primary.query('PURGE BINARY LOGS TO ?', [last?.File ?? ''])
    const tablet = await addEmpty()
    await started(tablet, { config: configured(roots['without any']) }, async () => {
      const failure = await failureOf(await begun(tablet))
      expect(failure).toMatchObject({ type: 'Refused', step: 'preflight', returnedBy: 'nobody' })
      expect(failure.message).toContain(`the primary ${primary.alias} of ${world.shard.shard} has purged`)
      await expectStaysEmpty(tablet, /has purged/)
    })
  })
})
