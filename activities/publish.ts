import { hostname } from 'node:os'
import { checkStored } from '../engine/backup/check.ts'
import { FRAME_SIZE } from '../engine/frames/frame.ts'
import { type CopyRecord, readCopyRecord } from '../engine/ledger/copy-ledger.ts'
import type { TabletAlias } from '../model/alias.ts'
import { type BackupName, parseBackupName } from '../model/backup-name.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { GtidSet } from '../model/gtid-set.ts'
import { formatManifest, type Manifest } from '../model/manifest.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { partsOf, type ShardName } from '../model/shard-name.ts'
import { formatBytes } from '../model/units.ts'
import { VERSION } from '../model/version.ts'
import { errantTransactions } from '../mysql/admin/server-state.ts'
import { backupDirectory } from '../storage/catalogue/backup-key.ts'
import { LARGEST_MANIFEST, readEntry } from '../storage/catalogue/catalogue.ts'
import { assertUndiscarded, putManifest } from '../storage/catalogue/publish.ts'
import { copyLedgerPath, removeCopyLedger } from '../tablets/copy-ledger-path.ts'
import type { TabletDriver } from '../tablets/driver.ts'
import { rememberRepository } from '../tablets/known-repository.ts'
import type { TabletActivities } from './contract.ts'
import { unlessHung } from './stall.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'
import { unlessForeseen } from './unless-foreseen.ts'

/** Makes a copy a backup: what the store lists is what was copied, then the MANIFEST, last and only once. */
export function publishActivities(context: TabletContext): Pick<TabletActivities, 'checkBackup' | 'publishBackup'> {
  const { tablet, store } = context
  const { shard } = tablet.driver
  const recordOf = async (backup: BackupName) => {
    const { datadir } = await tablet.driver.layout()
    return await readCopyRecord(copyLedgerPath(datadir, backup), backup)
  }
  const describe = async (record: CopyRecord, outOfServiceSeconds: number): Promise<Manifest> =>
    manifestOf(shard, record, outOfServiceSeconds, await errantIn(record, tablet.driver))
  return {
    checkBackup: onTablet(context, async (attempt, { backup }) => {
      attempt.sign({ waitingFor: 'every stored object to be checked' })
      const { files } = await recordOf(backup)
      const look = () => checkStored(store, backupDirectory(shard, backup), files, attempt.signal)
      await unlessHung(attempt.signal, store.description, look)
      return { objects: files.length }
    }),

    publishBackup: onTablet(context, async (attempt, { backup, outOfServiceSeconds }) => {
      attempt.sign({ waitingFor: 'storage to take the MANIFEST' })
      const look = <T>(what: () => Promise<T>) => unlessHung(attempt.signal, store.description, what)
      const published = await look(() => readEntry(store, shard, backup))
      // An earlier attempt may have got this far before its answer was lost.
      const isOurs = published.state === 'complete' && published.manifest.Tabletkeeper?.Run === attempt.runId
      const manifest = isOurs ? published.manifest : await describe(await recordOf(backup), outOfServiceSeconds)
      if (!isOurs) {
        const text = Buffer.from(formatManifest(manifest))
        if (text.length > LARGEST_MANIFEST) throw tooManyFiles(tablet.driver.alias, manifest, text.length)
        // Not given up where storage hangs: what is written late would be a MANIFEST of objects that were discarded.
        await putManifest(store, shard, backup, text, attempt.signal)
        await rememberRepository(tablet.leasePath, store)
      }
      await look(() => assertUndiscarded(store, shard, backup))
      // What an attempt before had begun to write when its store went away. The backup is whole all the same.
      if (attempt.number > 1) await unlessForeseen(() => look(() => store.abortUploads(backupDirectory(shard, backup))))
      await removeCopyLedger((await tablet.driver.layout()).datadir, backup)
      return { errant: manifest.Tabletkeeper?.Errant ?? null }
    }),
  }
}

/** A backup that nobody could read back is none. */
function tooManyFiles(alias: TabletAlias, { FileEntries }: Manifest, bytes: number): TabletkeeperError {
  return new TabletkeeperError(
    'Refused',
    `${alias} has ${FileEntries.length} files, whose MANIFEST has ${formatBytes(bytes)}: more than can be read back`,
    { hint: `At most ${formatBytes(LARGEST_MANIFEST)}. Divide the tablet's tables among shards.` },
  )
}

function manifestOf(shard: ShardName, record: CopyRecord, outOfServiceSeconds: number, errant: GtidSet): Manifest {
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
      ...(errant.isEmpty ? {} : { Errant: positionOf(errant) }),
    },
  }
}

/**
 * What a backup holds and the present primary has not: an emergency failover left it behind. Where no primary can be asked, that is seen when
 * a restore looks for a backup.
 */
async function errantIn({ reading }: CopyRecord, driver: TabletDriver): Promise<GtidSet> {
  const errant = await unlessForeseen(async () =>
    errantTransactions(parsePosition(reading.position), (await driver.primary()).server.gtidExecuted),
  )
  return errant ?? GtidSet.EMPTY
}

/** RFC 3339 in whole seconds, as Vitess writes times. */
function secondsOf(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
