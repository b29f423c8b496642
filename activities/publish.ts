import { hostname } from 'node:os'
import { checkStored } from '../engine/check.ts'
import { parseBackupName } from '../model/backup-name.ts'
import { formatManifest, type Manifest } from '../model/manifest.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { partsOf, type ShardName } from '../model/shard-name.ts'
import { VERSION } from '../model/version.ts'
import { backupDirectory, backupKey, MANIFEST } from '../storage/backup-key.ts'
import { readEntry } from '../storage/catalogue.ts'
import { type CopyRecord, readCopyRecord, removeCopyRecord } from '../tablets/copy-record.ts'
import { rememberRepository } from '../tablets/known-repository.ts'
import type { TabletActivities } from './contract.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'

/** Makes a copy a backup: what the store lists is what was copied, then the MANIFEST, last and only once. */
export function publishActivities(context: TabletContext): Pick<TabletActivities, 'publishBackup'> {
  const { tablet, store } = context
  const { shard } = tablet.driver
  return {
    publishBackup: onTablet(context, async (attempt, { backup }) => {
      attempt.sign({ waitingFor: 'every stored object to be checked' })
      const published = await readEntry(store, shard, backup)
      if (published.state === 'complete' && published.manifest.Tabletkeeper?.Run === attempt.runId) {
        // An earlier attempt got this far before its answer was lost.
        await removeCopyRecord(tablet.leasePath, backup)
        return { objects: published.manifest.FileEntries.length }
      }
      const record = await readCopyRecord(tablet.leasePath, backup)
      await checkStored(store, backupDirectory(shard, backup), record.files)
      const text = formatManifest(manifestOf(shard, record))
      await store.put(backupKey(shard, backup, MANIFEST), Buffer.from(text), { ifAbsent: true, signal: attempt.signal })
      await rememberRepository(tablet.leasePath, store)
      await removeCopyRecord(tablet.leasePath, backup)
      return { objects: record.files.length }
    }),
  }
}

function manifestOf(shard: ShardName, record: CopyRecord): Manifest {
  const { reading, files } = record
  const { name, time, alias } = parseBackupName(record.backup)
  const { keyspace, shard: part } = partsOf(shard)
  const finished = new Date()
  return {
    BackupName: name,
    BackupMethod: 'builtin',
    Position: positionOf(parsePosition(reading.position)),
    PurgedPosition: positionOf(parsePosition(reading.purgedPosition)),
    FromPosition: '',
    FromBackup: '',
    Incremental: false,
    BackupTime: secondsOf(time),
    FinishedTime: secondsOf(finished),
    ServerUUID: reading.serverUuid,
    TabletAlias: alias,
    Hostname: hostname(),
    Keyspace: keyspace,
    Shard: part,
    MySQLVersion: reading.versionString,
    UpgradeSafe: false,
    IncrementalDetails: null,
    CompressionEngine: 'zstd',
    FileEntries: files.map((file) => ({ Base: file.base, Name: file.name, Hash: file.hash, ParentPath: '' })),
    SkipCompress: false,
    ExternalDecompressor: '',
    Tabletkeeper: {
      FormatVersion: 1,
      Engine: 'stream',
      Files: files.map((file) => ({ Size: file.size, Stored: file.stored })),
      Version: VERSION,
      Workflow: record.workflowId,
      Run: record.runId,
      Seconds: (finished.getTime() - time.getTime()) / 1000,
    },
  }
}

/** RFC 3339 in whole seconds, as Vitess writes times. */
function secondsOf(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
