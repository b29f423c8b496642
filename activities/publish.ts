import { hostname } from 'node:os'
import { checkStored } from '../engine/check.ts'
import { type CopyRecord, readCopyRecord } from '../engine/copy-ledger.ts'
import { FRAME_SIZE } from '../engine/frame.ts'
import { type BackupName, parseBackupName } from '../model/backup-name.ts'
import { formatManifest, type Manifest } from '../model/manifest.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { partsOf, type ShardName } from '../model/shard-name.ts'
import { VERSION } from '../model/version.ts'
import { backupDirectory, backupKey, MANIFEST } from '../storage/backup-key.ts'
import { readEntry } from '../storage/catalogue.ts'
import { copyLedgerPath, removeCopyLedger } from '../tablets/copy-ledger-path.ts'
import { rememberRepository } from '../tablets/known-repository.ts'
import type { TabletActivities } from './contract.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'

/** Makes a copy a backup: what the store lists is what was copied, then the MANIFEST, last and only once. */
export function publishActivities(context: TabletContext): Pick<TabletActivities, 'checkBackup' | 'publishBackup'> {
  const { tablet, store } = context
  const { shard } = tablet.driver
  const recordOf = async (backup: BackupName) => {
    const { datadir } = await tablet.driver.layout()
    return await readCopyRecord(copyLedgerPath(datadir, backup), backup)
  }
  return {
    checkBackup: onTablet(context, async (attempt, { backup }) => {
      attempt.sign({ waitingFor: 'every stored object to be checked' })
      const { files } = await recordOf(backup)
      await checkStored(store, backupDirectory(shard, backup), files, attempt.signal)
      return { objects: files.length }
    }),

    publishBackup: onTablet(context, async (attempt, { backup, outOfServiceSeconds }) => {
      attempt.sign({ waitingFor: 'storage to take the MANIFEST' })
      const published = await readEntry(store, shard, backup)
      // An earlier attempt may have got this far before its answer was lost.
      if (published.state !== 'complete' || published.manifest.Tabletkeeper?.Run !== attempt.runId) {
        const text = formatManifest(manifestOf(shard, await recordOf(backup), outOfServiceSeconds))
        const key = backupKey(shard, backup, MANIFEST)
        await store.put(key, Buffer.from(text), { ifAbsent: true, signal: attempt.signal })
        await rememberRepository(tablet.leasePath, store)
      }
      await removeCopyLedger((await tablet.driver.layout()).datadir, backup)
    }),
  }
}

function manifestOf(shard: ShardName, record: CopyRecord, outOfServiceSeconds: number): Manifest {
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
      Engine: 'frames',
      FrameSize: FRAME_SIZE,
      Files: files.map((file) => ({ Size: file.size, Stored: file.stored, Hash: file.segmentHash })),
      PageCheck: {
        BadPages: record.badPages,
        Pages: record.firstBadPages.map(({ file, page }) => ({ File: file, Page: page })),
      },
      Snapshot: record.snapshot,
      Version: VERSION,
      Workflow: record.workflowId,
      Run: record.runId,
      Seconds: (finished.getTime() - time.getTime()) / 1000,
      OutOfServiceSeconds: outOfServiceSeconds,
    },
  }
}

/** RFC 3339 in whole seconds, as Vitess writes times. */
function secondsOf(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
