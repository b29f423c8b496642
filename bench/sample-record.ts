import { FRAME_SIZE } from '../engine/frames/frame.ts'
import type { CopyHeader, CopyRecord } from '../engine/ledger/copy-ledger.ts'
import { parseAlias } from '../model/alias.ts'
import { backupNameOf } from '../model/backup-name.ts'
import type { Manifest } from '../model/manifest.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { parseShardName, partsOf } from '../model/shard-name.ts'
import { VERSION } from '../model/version.ts'

const TIME = '2026-01-01T00:00:00Z'
const ALIAS = parseAlias('bench-1')

/** What copies of a data set say of a run that never was. */
export const SHARD = parseShardName('bench/0')
export const BACKUP = backupNameOf(ALIAS, new Date(TIME))
export const HEADER: CopyHeader = {
  backup: BACKUP,
  workflowId: 'bench',
  runId: 'bench',
  lsn: '1',
  snapshot: 'none',
  reading: { position: 'MySQL56/', purgedPosition: 'MySQL56/', serverUuid: '', versionString: '', takenAt: TIME },
}

/** A MANIFEST by which such a copy can be restored. */
export function manifestOf({ files, reading, workflowId, runId, badPages }: CopyRecord): Manifest {
  const { keyspace, shard } = partsOf(SHARD)
  return {
    BackupName: BACKUP,
    BackupMethod: 'builtin',
    Position: positionOf(parsePosition(reading.position)),
    PurgedPosition: '',
    FromPosition: '',
    FromBackup: '',
    Incremental: false,
    BackupTime: TIME,
    FinishedTime: TIME,
    ServerUUID: reading.serverUuid,
    TabletAlias: ALIAS,
    Hostname: '',
    Keyspace: keyspace,
    Shard: shard,
    MySQLVersion: reading.versionString,
    UpgradeSafe: false,
    IncrementalDetails: null,
    CompressionEngine: 'zstd',
    FileEntries: files.map(({ base, name, hash }) => ({ Base: base, Name: name, Hash: hash, ParentPath: '' })),
    SkipCompress: false,
    ExternalDecompressor: '',
    Tabletkeeper: {
      FormatVersion: 1,
      Engine: 'frames',
      FrameSize: FRAME_SIZE,
      Files: files.map(({ size, stored, segmentHash }) => ({ Size: size, Stored: stored, Hash: segmentHash })),
      PageCheck: { BadPages: badPages, Pages: [] },
      Snapshot: 'none',
      Version: VERSION,
      Workflow: workflowId,
      Run: runId,
      Seconds: 0,
      OutOfServiceSeconds: 0,
    },
  }
}
