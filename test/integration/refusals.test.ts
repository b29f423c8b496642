import { mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseBackupName } from '../../model/backup-name.ts'
import { replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { mount, NO_MOUNTS, unmount } from '../storage/mounts.ts'
import { eventually } from './assertions.ts'
import { runKeeper } from './keeper-command.ts'
import { ofARun, type Refusal, refuses, standingOf } from './refusal.ts'
import { type Running, startWorld, type World } from './world.ts'

describe('what is refused says what it was, what to do, and changes nothing', () => {
  let world: World
  let primary: SampleTablet
  let replica: SampleTablet
  let agent: Running
  let backup: string

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    primary = world.shard.primary
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  const expectRefused = (args: readonly string[], refusal: Refusal) => refuses(world, primary, replica)(args, refusal)
  const expectRunRefused = (args: readonly string[], refusal: Refusal) => expectRefused(args, ofARun(refusal))
  const standing = () => standingOf(primary, replica)
  const backUp = (): string[] => ['backup', replica.alias]
  const restore = (...options: readonly string[]): string[] => ['restore', replica.alias, '--yes', ...options]

  describe('before anybody is asked:', () => {
    test('an alias that is none, or is not configured', async () => {
      await expectRefused(['backup', 'zone1'], {
        type: 'InvalidInput',
        message: '"zone1" is not a tablet alias',
        hint: 'An alias is a cell and a number',
      })
      await expectRefused(['backup', 'zone1-999'], {
        type: 'NotFound',
        message: 'zone1-0000000999 is no tablet of the configuration',
        hint: 'Did you mean ',
      })
      await expectRefused(['backup', 'commerce/1'], {
        type: 'NotFound',
        message: 'commerce/1 is no shard of the configuration',
        hint: 'It has commerce/0.',
      })
    })

    test('a configuration that is not YAML, has mistakes, or is not there', async () => {
      const path = join(world.directory, 'wrong.yaml')
      const text = await readFile(world.configPath, 'utf8')
      await writeFile(path, text.replace('root:', 'root: ['))
      await expectRefused([...backUp(), '--config', path], {
        type: 'InvalidConfig',
        message: `${path}:\\d+ `,
        hint: `${path} is not readable as YAML`,
      })
      await writeFile(path, `${text}\nbakcup: {}\n`)
      await expectRefused([...backUp(), '--config', path], {
        type: 'InvalidConfig',
        message: `${path}:\\d+ bakcup: is not a known key; known here: .*backup`,
        hint: 'Did you mean backup instead of bakcup?',
      })
      const missing = await runKeeper(world, ...backUp(), '--config', '/nowhere.yaml')
      const stderr = 'error InvalidConfig: there is no /nowhere.yaml (named by --config)\n'
      expect(missing).toEqual({ status: 3, stdout: '', stderr })
    })
  })

  describe('without an agent:', () => {
    const NO_AGENT: Pick<Refusal, 'type' | 'hint'> = {
      type: 'NoAgent',
      hint: "Start its agent on the tablet's host: systemctl start tabletkeeper-agent.",
    }
    const message = 'no agent polls the queue of zone1-0000000101'

    test('a backup', () => expectRunRefused([...backUp(), '--agent-timeout', '2s'], { ...NO_AGENT, message }))

    test('a restore, and the backup of a shard', async () => {
      const silent = { type: 'NoAgent', message: 'no tablet of commerce/0 can be backed up now', hint: '' } as const
      await Promise.all([
        expectRunRefused(restore('--agent-timeout', '2s'), { ...NO_AGENT, message }),
        expectRunRefused(['backup', 'commerce/0', '--agent-timeout', '2s'], silent),
      ])
    })
  })

  describe('by the agent:', () => {
    beforeAll(async () => {
      agent = await world.startAgent(replica.alias)
      await world.startAgent(primary.alias)
      backup = (await (await world.keeper.backup(world.input(replica.alias))).result()).backup
    })

    test('the primary, and a bootstrap of what has data', async () => {
      await expectRunRefused(['backup', primary.alias], {
        type: 'Refused',
        message: `^${primary.alias} takes writes \\(read_only=OFF, 1 replica connected\\): it is the primary of commerce/0$`,
        hint: 'Back up another tablet of the shard: tabletkeeper backup commerce/0',
      })
      await expectRunRefused(['restore', primary.alias, '--yes'], {
        type: 'Refused',
        message: `^${primary.alias} is the primary of commerce/0$`,
        hint: 'Restore a replica, then fail over to it.',
      })
      await expectRunRefused(['bootstrap', replica.alias], {
        type: 'Refused',
        message: `^${replica.alias} has data: it is not bootstrapped$`,
        hint: 'To replace them: tabletkeeper restore',
      })
    })

    test('a tablet with MEMORY tables, which a stop would empty', async () => {
      await primary.query('CREATE TABLE commerce.session (id INT) ENGINE = MEMORY')
      await world.shard.awaitReplicated(replica)
      await expectRunRefused(backUp(), {
        type: 'Refused',
        message: `^${replica.alias} is not fit for a backup: a restart empties its MEMORY tables: commerce.session$`,
        hint: 'ALTER TABLE … ENGINE = InnoDB on the primary',
      })
      await primary.query('DROP TABLE commerce.session')
      await world.shard.awaitReplicated(replica)
    })

    test('a tablet whose replication was stopped, or is broken', async () => {
      await replica.query('STOP REPLICA')
      await expectRunRefused(backUp(), {
        type: 'Refused',
        message: `^${replica.alias} does not replicate \\(IO No, SQL No\\): somebody stopped it$`,
        hint: 'Unless it is meant so: START REPLICA',
      })
      await onReplicaAlone('DROP TABLE commerce.waiting_list')
      await replica.query('START REPLICA')
      await primary.query('INSERT INTO commerce.waiting_list VALUES (1, NOW())')
      await eventually(
        () => standing(),
        ({ sql }) => sql === 'No',
      )
      await expectRunRefused(backUp(), {
        type: 'Refused',
        message: /does not replicate \(IO Yes, SQL No\): Last_SQL_Error 1146: .*commerce\.waiting_list' doesn't exist/,
        hint: 'Repair it first',
      })
      await onReplicaAlone('CREATE TABLE commerce.waiting_list (id INT PRIMARY KEY, since DATETIME NOT NULL)')
      await replica.query('START REPLICA')
      await world.shard.awaitReplicated(replica)
    })

    async function onReplicaAlone(statement: string): Promise<void> {
      await using connection = await replica.connect()
      await connection.query('SET GLOBAL super_read_only = OFF')
      await connection.query('SET sql_log_bin = 0')
      await connection.query(statement)
      await connection.query('SET GLOBAL super_read_only = ON')
    }

    test('a tablet that the shard cannot spare', async () => {
      await agent.stop()
      const config = world.config()
      agent = await world.startAgent(replica.alias, {
        config: { ...config, backup: { ...config.backup, minServing: 2 } },
      })
      await expectRunRefused(backUp(), {
        type: 'Refused',
        message: `^${replica.alias} cannot be spared: only ${primary.alias} of commerce/0 would serve, and backup.minServing is 2$`,
        hint: 'Bring another tablet up, or lower backup.minServing. This once: --force-min-serving.',
      })
      const forced = await world.keeper.backup({ ...world.input(replica.alias), force: ['min-serving'] })
      const { backup: another, warnings } = await forced.result()
      expect(warnings).toEqual([
        {
          about: '--force-min-serving',
          message: `only ${primary.alias} of commerce/0 would serve, and backup.minServing is 2`,
        },
      ])
      await rm(join(world.storageRoot, world.shard.shard, another), { recursive: true })
      await agent.stop()
      agent = await world.startAgent(replica.alias)
    })
  })

  describe('a backup to restore', () => {
    const manifest = (): string => join(world.storageRoot, world.shard.shard, backup, 'MANIFEST')

    test('that does not exist', async () => {
      await expectRunRefused(restore('--backup', `2020-01-01.000000.${replica.alias}`), {
        type: 'NotFound',
        message: `there is no backup 2020-01-01.000000.${replica.alias} of commerce/0`,
        hint: 'See: tabletkeeper list commerce/0',
      })
      await expectRunRefused(restore('--before', '2020-01-01T00:00:00Z'), {
        type: 'NotFound',
        message: 'no backup of commerce/0 was taken before 2020-01-01T00:00:00.000Z',
        hint: `The oldest is ${backup}.`,
      })
    })

    test.each([
      ['is missing', () => undefined, 'it has no MANIFEST, so it is not complete', 'incomplete'],
      ['is truncated', (text: string) => text.slice(0, text.length / 2), 'it is not JSON', 'corrupt'],
      [
        'names a file elsewhere',
        (text: string) => text.replace('"ibdata1"', '"../../etc/passwd"'),
        'FileEntries\\[\\d+\\] "../../etc/passwd" leaves its directory',
        'corrupt',
      ],
    ] as const)('whose MANIFEST %s', async (_what, damage, reason, state) => {
      const text = await readFile(manifest(), 'utf8')
      const damaged = damage(text)
      if (damaged === undefined) await rm(manifest())
      else await writeFile(manifest(), damaged)
      await expectRunRefused(restore('--backup', backup), {
        type: 'CorruptBackup',
        message: `the backup ${backup} of commerce/0 cannot be restored from: .*${reason}`,
        hint: 'See: tabletkeeper list commerce/0',
      })
      await expectRunRefused(restore(), {
        type: 'CorruptBackup',
        message: `none of the backups of commerce/0 is complete: ${backup} \\(${state}\\)`,
        hint: 'See: tabletkeeper list commerce/0',
      })
      // The command line looks first; the agent does not rely on that.
      const before = await standing()
      const run = await world.keeper.restore({ ...world.input(replica.alias), backup: parseBackupName(backup).name })
      await expect(run.result()).rejects.toMatchObject({ type: 'CorruptBackup', step: 'findBackup' })
      expect(await standing()).toEqual(before)
      await writeFile(manifest(), text)
    })
  })

  describe('storage', () => {
    test('that does not exist, or is an unmounted mount point, known to this agent or not', async () => {
      const away = `${world.storageRoot}-away`
      await rename(world.storageRoot, away)
      const missing = {
        type: 'InvalidConfig',
        message: `the root of the storage, ${world.storageRoot}, does not exist`,
        hint: 'Mount or create it, or correct storage.root.',
      } as const
      await expectRunRefused(backUp(), missing)
      await expectRunRefused(restore(), missing)

      await mkdir(world.storageRoot)
      await expectRunRefused(backUp(), {
        type: 'StorageUnavailable',
        message: `^file:${world.storageRoot} is not the repository that it was \\(.*\\), but none$`,
        hint: 'Look at the mount',
      })
      await agent.stop()
      agent = await world.startAgent(replica.alias)
      await expectRunRefused(backUp(), {
        type: 'StorageUnavailable',
        message: `^file:${world.storageRoot} is empty, and this tablet's backups are in repository `,
        hint: 'Is it mounted?',
      })
      await rmdir(world.storageRoot)
      await rename(away, world.storageRoot)
    })

    test.skipIf(NO_MOUNTS !== undefined)('that is mounted read-only', async () => {
      await mount('--bind', world.storageRoot, world.storageRoot)
      try {
        await mount('-o', 'remount,ro,bind', world.storageRoot)
        await expectRunRefused(backUp(), {
          type: 'StorageDenied',
          message: `file:${world.storageRoot}: EROFS: read-only file system`,
          hint: 'It is mounted read-only: mount it for writing.',
        })
      } finally {
        await unmount(world.storageRoot)
      }
    })
  })

  test('a tablet that became the primary since the configuration was written', async () => {
    await replica.query('STOP REPLICA')
    await replica.query('RESET REPLICA ALL')
    await replica.query('SET GLOBAL read_only = OFF')
    await replicateFrom(primary, replica, world.shard.replicationAccount)
    await eventually(
      () => replica.query("SELECT 1 FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'"),
      (dumps) => dumps.length === 1,
    )
    await expectRunRefused(backUp(), {
      type: 'Refused',
      message: `^${replica.alias} takes writes \\(read_only=OFF, 1 replica connected\\): it is the primary of commerce/0$`,
      hint: 'Back up another tablet of the shard: tabletkeeper backup commerce/0',
    })
    await expectRunRefused(restore(), {
      type: 'Refused',
      message: `^${replica.alias} is the primary of commerce/0$`,
      hint: 'Restore a replica, then fail over to it.',
    })
  })
})
