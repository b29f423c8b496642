import { type BackupName, parseBackupName } from '../../model/backup-name.ts'
import { formatManifest, type Manifest } from '../../model/manifest.ts'
import { parsePosition, positionOf } from '../../model/position.ts'
import { parseShardName, partsOf, type ShardName } from '../../model/shard-name.ts'
import { backupKey, MANIFEST } from '../../storage/catalogue/backup-key.ts'
import type { ObjectStore } from '../../storage/object-store.ts'

export const SHARD = parseShardName('commerce/0')

/** The name of a backup of tablet 101 that began at `time` of one day. */
export function nameAt(time: string, tablet = 'zone1-0000000101'): BackupName {
  return parseBackupName(`2026-11-24.${time}.${tablet}`).name
}

/** A MANIFEST as the agent writes it, of one file. */
export function manifestOf(shard: ShardName, name: BackupName, other: Partial<Manifest> = {}): Manifest {
  const { time, alias } = parseBackupName(name)
  const { keyspace, shard: part } = partsOf(shard)
  return {
    BackupName: name,
    BackupMethod: 'builtin',
    Position: positionOf(parsePosition('98880065-e813-11f1-976c-02fc00000001:1-1537')),
    PurgedPosition: positionOf(parsePosition('MySQL56/')),
    FromPosition: '',
    FromBackup: '',
    Incremental: false,
    BackupTime: time.toISOString(),
    FinishedTime: time.toISOString(),
    ServerUUID: '98874b4e-e813-11f1-976c-02fc00000001',
    TabletAlias: alias,
    Hostname: 'db2.example.com',
    Keyspace: keyspace,
    Shard: part,
    MySQLVersion: 'Ver 9.7.4 MySQL Community Server',
    UpgradeSafe: false,
    IncrementalDetails: null,
    CompressionEngine: 'zstd',
    FileEntries: [{ Base: 'Data', Name: 'mysql.ibd', Hash: '352441c2', ParentPath: '' }],
    SkipCompress: false,
    ExternalDecompressor: '',
    ...other,
  }
}

/** Stores a backup of one object `0`; it is complete unless `manifest` is other text. */
export async function storeBackup(
  store: ObjectStore,
  shard: ShardName,
  name: BackupName,
  manifest: string = formatManifest(manifestOf(shard, name)),
): Promise<void> {
  await storeUnfinished(store, shard, name)
  await store.put(backupKey(shard, name, MANIFEST), Buffer.from(manifest))
}

/** The same without MANIFEST. */
export async function storeUnfinished(store: ObjectStore, shard: ShardName, name: BackupName): Promise<void> {
  await store.put(backupKey(shard, name, 0), Buffer.from('abc'))
}
