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

  test('vttablet restores a backup that tabletkeeper made, by RestoreFromBackup', async () => {
    const { vitess, replica } = world
    const backup = await backUpByTabletkeeper()
    expect((await vitess.vtctl('GetBackups', SHARD)).trim().split('\n').at(-1)).toBe(backup)
    const load = await startWriteLoad(world.primary)
    await vitess.vtctl('RestoreFromBackup', replica.alias)
    await load.stop()
    await expectServedByVitess(replica)
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

  test('tabletkeeper restores a backup that vttablet made with zstd', async () => {
    const { keeper, kept, replica } = world
    await replica.startVttablet(['--compression-engine-name', 'zstd'])
    await expectServedByVitess(replica)
    const backup = await backUpByVitess('zstd')
    const load = await startWriteLoad(world.primary)
    const run = await keeper.restore({ shard: SHARD, tablet: kept.alias })
    expect(await run.result()).toMatchObject({ backup, type: 'REPLICA' })
    await load.stop()
    await expectRestored(kept, backup)
  })

  /** Backs up Vitess's replica by its vttablet's builtin engine, and returns the name. */
  async function backUpByVitess(engine: string): Promise<string> {
    const { vitess, replica } = world
    await vitess.vtctl('Backup', replica.alias)
    const [backup = ''] = (await vitess.vtctl('GetBackups', SHARD)).trim().split('\n').slice(-1)
    const manifest = await world.manifest(backup)
    expect(manifest).toMatchObject({ CompressionEngine: engine, TabletAlias: replica.alias })
    expect(manifest.Tabletkeeper).toBeUndefined()
    return backup
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
    const status = async () =>
      JSON.parse(await world.vitess.vtctl('GetTablet', parseAlias(server.alias))) as { type: string | number }
    await eventually(status, ({ type }) => type === 'REPLICA' || type === 2)
    const [replication] = await server.query<Record<string, string>>('SHOW REPLICA STATUS')
    expect(replication).toMatchObject({ Replica_IO_Running: 'Yes', Replica_SQL_Running: 'Yes' })
  }
})

async function executedBy(server: Pick<SampleTablet, 'query'>): Promise<string> {
  const [row] = await server.query<{ gtids: string }>('SELECT @@global.gtid_executed AS gtids')
  return row?.gtids.replaceAll('\n', '') ?? ''
}
