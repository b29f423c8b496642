import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findTablet, type MysqlConfig } from '../../model/config.ts'
import { replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually } from './assertions.ts'
import { askHealth } from './health.ts'
import { inUnit, NO_UNITS } from './in-unit.ts'
import { runKeeper } from './keeper-command.ts'
import { ofARun, type Refusal, refuses, standingOf } from './refusal.ts'
import { type Running, startWorld, type World } from './world.ts'

/** Why a tablet is not taken out of service: what its server is, has or does. */
let world: World
let primary: SampleTablet
let replica: SampleTablet
let agent: Running

beforeAll(async () => {
  world = await startWorld()
  await world.startControl()
  const [first] = world.shard.replicas
  if (first === undefined) throw new Error('the shard has no replica')
  replica = first
  primary = world.shard.primary
  agent = await world.startAgent(replica.alias)
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

const backUp = (): string[] => ['backup', replica.alias]
const restore = (): string[] => ['restore', replica.alias, '--yes']

function expectRunRefused(args: readonly string[], refusal: Refusal): Promise<void> {
  return refuses(world, primary, replica)(args, ofARun(refusal))
}

/** It has what the primary has, and receives. */
async function awaitReplicating(): Promise<void> {
  await world.shard.awaitReplicated(replica)
  await eventually(
    () => standingOf(primary, replica),
    ({ io, sql }) => io === 'Yes' && sql === 'Yes',
  )
}

async function onReplicaAlone(statement: string): Promise<void> {
  await using connection = await replica.connect()
  await connection.query('SET GLOBAL super_read_only = OFF')
  await connection.query('SET sql_log_bin = 0')
  await connection.query(statement)
  await connection.query('SET GLOBAL super_read_only = ON')
}

test('a tablet whose mysqld is down', async () => {
  await replica.stop()
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} has its mysqld down$`,
    hint: 'Start it first.',
  })
  await replica.start()
  await replica.query('SET GLOBAL super_read_only = ON')
  await awaitReplicating()
})

test('a tablet that takes writes though it is a replica, or is read-only and replicates from nobody', async () => {
  await replica.query('SET GLOBAL read_only = OFF')
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} takes writes though it is a replica \\(read_only=OFF, 0 replicas connected\\)$`,
    hint: 'Find out who writes to it, then SET GLOBAL super_read_only = ON.',
  })
  await replica.query('SET GLOBAL super_read_only = ON')
  await replica.query('STOP REPLICA')
  await replica.query('RESET REPLICA ALL')
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} replicates from nobody \\(read_only=ON, 0 replicas connected\\)$`,
    hint: 'Make it a replica of the primary first.',
  })
  await replicateFrom(replica, primary, world.shard.replicationAccount)
  await awaitReplicating()
})

test('a tablet that feeds another one', async () => {
  const fed = await world.shard.addTablet(180)
  await fed.initialize()
  await fed.start()
  try {
    await replicateFrom(fed, replica, world.shard.replicationAccount)
    await eventually(
      () => replica.query("SELECT 1 FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'"),
      (dumps) => dumps.length === 1,
    )
    await expectRunRefused(backUp(), {
      type: 'Refused',
      message: `^${replica.alias} feeds other tablets \\(read_only=ON, 1 replica connected\\)$`,
      hint: 'Point them elsewhere first.',
    })
  } finally {
    await fed.stop()
    for (const { id } of await replica.query<{ id: number }>(
      "SELECT id FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    ))
      await replica.query('KILL ?', [id]).catch(() => undefined)
  }
})

test('an agent whose account lacks a grant that it needs in mid-run', async () => {
  await onReplicaAlone('REVOKE SHUTDOWN ON *.* FROM tabletkeeper@localhost')
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} cannot be stopped and started: the agent's account 'tabletkeeper' lacks SHUTDOWN ON \\*\\.\\*$`,
    hint: "On the primary (replicas get it from there): GRANT SHUTDOWN ON *.* TO 'tabletkeeper'@'localhost';",
  })
  await onReplicaAlone('GRANT SHUTDOWN ON *.* TO tabletkeeper@localhost')
})

test('a mysqld that would not come back, or as another version', async () => {
  const text = await readFile(replica.defaultsFile, 'utf8')
  await writeFile(replica.defaultsFile, `${text}\nno_such_option=1\n`)
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: /mysqld would not start with .*no_such_option/s,
    hint: `Correct ${replica.defaultsFile}`,
  })
  await writeFile(replica.defaultsFile, text)
  const newer = join(world.directory, 'newer-mysqld')
  await writeFile(
    newer,
    `#!/bin/sh\ncase "$*" in *--version*) echo "$0  Ver 99.1.2 for Linux on x86_64 (MySQL Community Server - GPL)";; *) exec ${replica.mysqld} "$@";; esac\n`,
    { mode: 0o755 },
  )
  await withAgent({ mysqld: newer }, () =>
    expectRunRefused(backUp(), {
      type: 'Refused',
      message: /runs mysqld \d+\.\d+\.\d+, but 99\.1\.2 is installed: the restart would upgrade it$/,
      hint: 'Restart it by hand first, when you mean to.',
    }),
  )
})

test('a service that would start mysqld in mid-copy', async () => {
  const folder = join(world.directory, 'bin')
  await mkdir(folder)
  await writeFile(join(folder, 'systemctl'), '#!/bin/sh\nprintf "Restart=always\\nLoadState=loaded\\n"\n', {
    mode: 0o755,
  })
  const before = process.env['PATH']
  process.env['PATH'] = `${folder}:${before}`
  try {
    await withAgent({ service: { kind: 'systemd', unit: 'mysql.service' } }, () =>
      expectRunRefused(backUp(), {
        type: 'Refused',
        message: /has a service that restarts by itself \(Restart=always\): mysqld would start in mid-copy$/,
        hint: 'systemctl edit the unit: Restart=on-failure',
      }),
    )
  } finally {
    process.env['PATH'] = before
  }
})

test.skipIf(NO_UNITS !== undefined)(
  'a mysqld that systemd runs, where the configuration says that the agent does',
  async () => {
    const unit = `mysql-${process.pid}.service`
    await using _running = await inUnit(Number(await replica.pid()), unit)
    await expectRunRefused(backUp(), {
      type: 'Refused',
      message: `^${replica.alias} has a mysqld that systemd runs, as ${unit}, which its configuration does not say: it could be started in mid-copy$`,
      hint: `Add to the tablet in tabletkeeper.yaml: mysql: { service: ${unit} }`,
    })
  },
)

/** Another configuration of the replica's mysqld, for the time of a check. */
async function withAgent(mysql: Partial<MysqlConfig>, check: () => Promise<void>): Promise<void> {
  await agent.stop()
  const config = world.config()
  const tablets = new Map(config.shards.get(world.shard.shard))
  const own = findTablet(config, replica.alias)
  tablets.set(replica.alias, { ...own, mysql: { ...own.mysql, ...mysql } })
  agent = await world.startAgent(replica.alias, {
    config: { ...config, shards: new Map([[world.shard.shard, tablets]]) },
  })
  try {
    await check()
  } finally {
    await agent.stop()
    agent = await world.startAgent(replica.alias)
  }
}

test('a tablet that has transactions which its primary never had', async () => {
  await using connection = await replica.connect()
  await connection.query('SET GLOBAL super_read_only = OFF')
  await connection.query('CREATE TABLE commerce.errant (id INT PRIMARY KEY)')
  await connection.query('SET GLOBAL super_read_only = ON')
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} has errant transactions, which its primary ${primary.alias} never had: [0-9a-f-]{36}:1$`,
    hint: 'Back up another tablet of the shard, and restore this one',
  })
  const [errant] = await replica.query<{ gtids: string }>('SELECT GTID_SUBTRACT(@@global.gtid_executed, ?) AS gtids', [
    String((await primary.query<{ g: string }>('SELECT @@global.gtid_executed AS g'))[0]?.g),
  ])
  // What an operator does about it: the primary has it too, as an empty transaction.
  await using onPrimary = await primary.connect()
  await onPrimary.query('SET gtid_next = ?', [errant?.gtids])
  await onPrimary.query('COMMIT')
  await onPrimary.query("SET gtid_next = 'AUTOMATIC'")
  await world.shard.awaitReplicated(replica)
})

test('MEMORY tables, unless it is said that they may be emptied', async () => {
  await primary.query('CREATE TABLE commerce.session (id INT) ENGINE = MEMORY')
  await world.shard.awaitReplicated(replica)
  const forced = await runKeeper(world, ...backUp(), '--force-memory-tables')
  expect(forced).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('--force-memory-tables: a restart empties its MEMORY tables: commerce.session'),
  })
  await primary.query('DROP TABLE commerce.session')
  await world.shard.awaitReplicated(replica)
})

test('a tablet that replicates over a named channel', async () => {
  const { user, password } = world.shard.replicationAccount
  await replica.query('STOP REPLICA')
  await replica.query('RESET REPLICA ALL')
  await replica.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
      SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1 FOR CHANNEL 'main'`,
    [primary.port, user, password],
  )
  await replica.query("START REPLICA FOR CHANNEL 'main'")
  await awaitReplicating()
  const hint = "RESET REPLICA ALL FOR CHANNEL 'main', then CHANGE REPLICATION SOURCE TO … without FOR CHANNEL."
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} is not fit for a backup: it replicates over a named channel, 'main', which could not be given another source`,
    hint,
  })
  await expectRunRefused(restore(), {
    type: 'Refused',
    message: `^${replica.alias} replicates over a named channel, 'main': it could not be given another source`,
    hint,
  })
  await replica.query('STOP REPLICA')
  await replica.query("RESET REPLICA ALL FOR CHANNEL 'main'")
  await replicateFrom(replica, primary, world.shard.replicationAccount)
  await awaitReplicating()
})

test('a tablet whose acknowledgement the commits of the primary wait for', async () => {
  await onReplicaAlone("INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'")
  await primary.query("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
  await replica.query('SET GLOBAL rpl_semi_sync_replica_enabled = ON')
  await replica.query('STOP REPLICA IO_THREAD')
  await replica.query('START REPLICA IO_THREAD')
  await primary.query('SET GLOBAL rpl_semi_sync_source_enabled = ON, GLOBAL rpl_semi_sync_source_timeout = 3600000')
  const onPrimary = (name: string) => async () =>
    (await primary.query<{ Value: string }>(`SHOW GLOBAL STATUS LIKE '${name}'`))[0]?.Value
  await eventually(onPrimary('Rpl_semi_sync_source_clients'), (clients) => clients === '1')
  const refusal: Refusal = {
    type: 'Refused',
    message: `^${replica.alias} acknowledges the commits of its primary \\(semi-sync\\), which wait for 1: without it 0 would be left$`,
    hint: 'Have another replica acknowledge them (rpl_semi_sync_replica_enabled), or on the primary, until this is over: SET GLOBAL rpl_semi_sync_source_enabled = OFF',
  }
  await expectRunRefused(backUp(), refusal)
  await expectRunRefused(restore(), refusal)
  expect((await runKeeper(world, 'check', '--json')).stdout).toContain('without it 0 would be left')
  // MySQL's default: commits wait for that once, and go on without.
  await primary.query('SET GLOBAL rpl_semi_sync_source_timeout = 10000')
  expect(await runKeeper(world, ...backUp())).toMatchObject({ status: 0 })
  await primary.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF')
  await replica.query('SET GLOBAL rpl_semi_sync_replica_enabled = OFF')
  await awaitReplicating()
})

test('a tablet with tagged GTIDs, which a position cannot hold; it is served from all the same', async () => {
  // The last test: they do not go away again.
  await using connection = await primary.connect()
  await connection.query("SET gtid_next = 'AUTOMATIC:errand'")
  await connection.query('CREATE TABLE commerce.tagged (id INT PRIMARY KEY)')
  await world.shard.awaitReplicated(replica)
  await expectRunRefused(backUp(), {
    type: 'Refused',
    message: `^${replica.alias} is not fit for a backup: it has executed transactions with tagged GTIDs, which a position of Vitess cannot hold$`,
    hint: 'Tagged GTIDs (uuid:tag:number) are not supported.',
  })
  expect(await askHealth(world, replica.alias)).toMatchObject({ status: 200, serving: true })
})
