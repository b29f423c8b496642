import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { parsePosition } from '../../model/position.ts'
import { checksumsOf } from '../../sandbox/checksums.ts'
import { awaitReplicated } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startWriteLoad } from '../../sandbox/write-load.ts'
import { eventually } from '../integration/assertions.ts'
import { type MixedShard, SHARD, startMixedShard } from './mixed-shard.ts'

type Server = Pick<SampleTablet, 'alias' | 'query'>

describe('stock Vitess 24 and tabletkeeper restore what the other backed up', () => {
  let world: MixedShard

  beforeAll(async () => {
    world = await startMixedShard()
  }, 300_000)
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('tabletkeeper bootstraps a tablet from a backup that vttablet made with pargzip, its default', async () => {
    const { keeper, kept } = world
    const backup = await backUpByVitess('pargzip')
    const load = await startWriteLoad(world.primary)
    const run = await keeper.bootstrap({ shard: SHARD, tablet: kept.alias, type: 'REPLICA' })
    expect(await run.result()).toMatchObject({ backup, type: 'REPLICA' })
    await load.stop()
    await expectRestored(kept, backup)
  })

  test('vttablet restores a backup that tabletkeeper made, by RestoreFromBackup; a prepared XA transaction is in it', async () => {
    const { vitess, primary, kept, replica } = world
    await prepareTransaction()
    await awaitReplicated(kept, primary)
    const backup = await backUpByTabletkeeper()
    expect(await newestBackup()).toBe(backup)
    const load = await startWriteLoad(world.primary)
    await vitess.vtctl('RestoreFromBackup', replica.alias)
    await load.stop()
    await expectServedByVitess(replica)
    await expectRestored(replica, backup)
    expect(await replica.query('XA RECOVER')).toMatchObject([{ data: 'waiting' }])
    await primary.query("XA COMMIT 'waiting'")
    await expectRestored(replica, backup)
  })

  test('a new vttablet with --restore-from-backup starts from a backup that tabletkeeper made', async () => {
    const { vitess } = world
    const backup = await backUpByTabletkeeper()
    const added = await vitess.addTablet(103)
    await added.startVttablet(['--restore-from-backup'])
    await expectServedByVitess(added)
    await expectRestored(added, backup)
    await added.stop()
  })

  test.each([
    ['zstd', ['--compression-engine-name', 'zstd']],
    ['lz4', ['--compression-engine-name', 'lz4']],
    ['pgzip', ['--compression-engine-name', 'pgzip']],
    ['no compression', ['--backup-storage-compress=false']],
  ])('tabletkeeper restores a backup that vttablet made with %s', async (engine, flags) => {
    const { keeper, kept, replica } = world
    await replica.startVttablet(flags)
    await expectServedByVitess(replica)
    const backup = await backUpByVitess(engine)
    const load = await startWriteLoad(world.primary)
    const run = await keeper.restore({ shard: SHARD, tablet: kept.alias })
    expect(await run.result()).toMatchObject({ backup, type: 'REPLICA' })
    await load.stop()
    await expectRestored(kept, backup)
  })

  test('vttablet builds an incremental backup on a full one of tabletkeeper, and restores both to a position; tabletkeeper passes over it', async () => {
    const { vitess, replica, keeper, kept } = world
    const full = await backUpByTabletkeeper()
    await awaitReplicated(replica, world.primary)
    await vitess.vtctl('Backup', '--incremental-from-pos', 'auto', replica.alias)
    const incremental = await newestBackup()
    const manifest = await world.rawManifest(incremental)
    expect(manifest).toMatchObject({ Incremental: true, FromBackup: full })

    const run = await keeper.restore({ shard: SHARD, tablet: kept.alias })
    expect(await run.result()).toMatchObject({ backup: full })
    await expectRestored(kept, full)

    const position = String(manifest['Position'])
    expect(position).not.toBe((await world.manifest(full)).Position)
    await vitess.vtctl('RestoreFromBackup', '--restore-to-pos', position, replica.alias)
    expect(await executedBy(replica)).toBe(parsePosition(position).toString())
    expect(await checksumsOf(replica)).toEqual(await checksumsOf(world.primary))
  })

  /** Leaves a transaction prepared, which has inserted a row. */
  async function prepareTransaction(): Promise<void> {
    await using connection = await world.primary.connect()
    await connection.query("XA START 'waiting'")
    await connection.query('INSERT INTO commerce.waiting_list VALUES (1, NOW())')
    await connection.query("XA END 'waiting'")
    await connection.query("XA PREPARE 'waiting'")
  }

  /** Backs up Vitess's replica by its vttablet's builtin engine, and returns the name. */
  async function backUpByVitess(engine: string): Promise<string> {
    const { vitess, replica } = world
    await vitess.vtctl('Backup', replica.alias)
    const backup = await newestBackup()
    const manifest = await world.manifest(backup)
    expect(manifest).toMatchObject({ TabletAlias: replica.alias, SkipCompress: engine === 'no compression' })
    if (!manifest.SkipCompress) expect(manifest.CompressionEngine).toBe(engine)
    expect(manifest.Tabletkeeper).toBeUndefined()
    return backup
  }

  /** As Vitess sees it. */
  async function newestBackup(): Promise<string> {
    return (await world.vitess.vtctl('GetBackups', SHARD)).trim().split('\n').at(-1) ?? ''
  }

  /** Backs up tabletkeeper's tablet while the primary is written to, and returns the name. */
  async function backUpByTabletkeeper(): Promise<string> {
    const { keeper, kept, primary } = world
    const load = await startWriteLoad(primary)
    const { backup } = await (await keeper.backup({ shard: SHARD, tablet: kept.alias })).result()
    await load.stop()
    expect(await world.manifest(backup)).toMatchObject({ CompressionEngine: 'zstd', TabletAlias: kept.alias })
    return backup
  }

  /** Its binary log begins where the backup ends, and from there it has come to the data of the primary. */
  async function expectRestored(server: Server, backup: string): Promise<void> {
    const { primary } = world
    const { Position } = await world.manifest(backup)
    const [purged] = await server.query<{ gtids: string }>('SELECT @@global.gtid_purged AS gtids')
    expect(purged?.gtids.replaceAll('\n', '')).toBe(parsePosition(Position).toString())
    await awaitReplicated(server, primary)
    expect(await executedBy(server)).toBe(await executedBy(primary))
    const checksums = await checksumsOf(server)
    expect(checksums.size).toBeGreaterThan(7)
    expect(checksums).toEqual(await checksumsOf(primary))
  }

  async function expectServedByVitess(server: Server): Promise<void> {
    const status = async () => {
      const { type } = JSON.parse(await world.vitess.vtctl('GetTablet', parseAlias(server.alias))) as {
        type: string | number
      }
      // The topology has its type from before, while its mysqld may be down still.
      const [replication] = await server
        .query<Readonly<Record<string, string>>>('SHOW REPLICA STATUS')
        .catch((error: unknown) => [{ Replica_IO_Running: String(error), Replica_SQL_Running: '' }])
      const { Replica_IO_Running: receives, Replica_SQL_Running: applies } = replication ?? {}
      return { type, receives, applies }
    }
    await eventually(
      status,
      ({ type, receives, applies }) => (type === 'REPLICA' || type === 2) && receives === 'Yes' && applies === 'Yes',
    )
  }
})

async function executedBy(server: Pick<SampleTablet, 'query'>): Promise<string> {
  const [row] = await server.query<{ gtids: string }>('SELECT @@global.gtid_executed AS gtids')
  return row?.gtids.replaceAll('\n', '') ?? ''
}
