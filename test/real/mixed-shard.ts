import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { stringify } from 'yaml'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { parseAlias } from '../../model/alias.ts'
import { parseBackupName } from '../../model/backup-name.ts'
import { type Config, parseConfig } from '../../model/config.ts'
import { type Manifest, parseManifest } from '../../model/manifest.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { createAdminUserStatements } from '../../mysql/admin/grants.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { provideMysql } from '../../sandbox/provide-mysql.ts'
import { createReplicationAccount } from '../../sandbox/replicate.ts'
import { loadSampleData } from '../../sandbox/sample-data.ts'
import { createTablet, type SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import { startVitessCell, type VitessCell } from '../../sandbox/vitess-cell.ts'
import type { VitessTablet } from '../../sandbox/vitess-tablet.ts'
import { runAgent } from '../../workers/agent.ts'
import { runControl } from '../../workers/control.ts'

export const SHARD = parseShardName('commerce/0')

/**
 * A shard whose primary and one replica are Vitess's, and which has one more tablet that is tabletkeeper's and has no
 * data yet. All keep their backups in one place.
 */
export interface MixedShard extends AsyncDisposable {
  readonly vitess: VitessCell
  readonly primary: VitessTablet
  readonly replica: VitessTablet
  readonly kept: SampleTablet
  readonly keeper: Tabletkeeper
  manifest(backup: string): Promise<Manifest>
  /** What a MANIFEST says, of an incremental backup too. */
  rawManifest(backup: string): Promise<Readonly<Record<string, unknown>>>
}

export async function startMixedShard(): Promise<MixedShard> {
  await using started = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'tk-'))
  if (process.env['KEEP'] === undefined) started.defer(() => rm(directory, { recursive: true, force: true }))
  await chmod(directory, 0o711)
  const storageRoot = join(directory, 'storage')
  await mkdir(storageRoot)

  const vitess = await startVitessCell({ directory: join(directory, 'vt'), storageRoot, shard: SHARD, cell: 'zone1' })
  started.use(vitess)
  const primary = await vitess.addTablet(100)
  const replica = await vitess.addTablet(101)
  await primary.startVttablet()
  await replica.startVttablet()
  await vitess.vtctl('PlannedReparentShard', SHARD, '--new-primary', primary.alias)
  const account = { user: 'repl', password: 'sample' }
  const replicationPasswordFile = join(directory, 'replication.password')
  await writeFile(replicationPasswordFile, account.password, { mode: 0o600 })
  await createReplicationAccount(primary, account)
  for (const statement of createAdminUserStatements('tabletkeeper', { operatingSystemUser: userInfo().username }))
    await primary.query(statement)
  {
    await using connection = await primary.connect()
    await loadSampleData(connection, 5)
  }

  const mysql = await provideMysql()
  const alias = parseAlias('zone1-102')
  const kept = await createTablet({ directory: join(directory, alias), alias, mysql })
  started.defer(kept.stop)
  const temporal = await startTemporal({ directory: join(directory, 'temporal') })
  started.defer(temporal.stop)
  process.env['TEMPORAL_ADDRESS'] = temporal.address
  const tablets = [primary, replica, kept]
  const config = parseConfig(
    stringify({
      storage: { kind: 'file', root: storageRoot },
      mysql: { mysqld: mysql.mysqld, replication: { user: account.user, passwordFile: replicationPasswordFile } },
      shards: {
        [SHARD]: Object.fromEntries(
          tablets.map(({ alias, port, defaultsFile }) => [alias, { host: '127.0.0.1', port, mysql: { defaultsFile } }]),
        ),
      },
      agent: { listen: `127.0.0.1:${await freePort()}`, restoreFromBackup: false },
      backup: { drainTimeout: '1s', maxLag: '5s', catchUpTimeout: '1m' },
    }),
    'tabletkeeper.yaml',
  )
  const workers = await startWorkers(config, alias)
  started.use(workers)
  const keeper = await Tabletkeeper.connect()
  started.use(keeper)

  const manifestText = (backup: string) => readFile(join(storageRoot, SHARD, backup, 'MANIFEST'), 'utf8')
  const running = started.move()
  return {
    vitess,
    primary,
    replica,
    kept,
    keeper,
    manifest: async (backup) =>
      parseManifest(await manifestText(backup), { shard: SHARD, backup: parseBackupName(backup).name }),
    rawManifest: async (backup) => JSON.parse(await manifestText(backup)),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** The agent of one tablet and the control process, until disposed. */
async function startWorkers(config: Config, tablet: SampleTablet['alias']): Promise<AsyncDisposable> {
  const log = pino({ level: process.env['LOG_LEVEL'] ?? 'silent' })
  const stopping = new AbortController()
  const { signal } = stopping
  const ready = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
  const ended = [
    runAgent({ config, tablets: [tablet], signal, log, onReady: ready[0].resolve }),
    runControl({ config, signal, log, onReady: ready[1].resolve }),
  ]
  await Promise.race([Promise.all(ready.map(({ promise }) => promise)), Promise.all(ended)])
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await Promise.all(ended)
    },
  }
}
