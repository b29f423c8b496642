import type { z } from 'zod'
import { type BackupName, parseBackupName } from './backup-name.ts'
import { messageOf, TabletkeeperError } from './errors.ts'
import { faultOfFiles, faultOfSection } from './manifest-files.ts'
import { type FILE_BASES, manifestSchema } from './manifest-schema.ts'
import type { Position } from './position.ts'
import type { SnapshotMode } from './runs.ts'
import { partsOf, type ShardName } from './shard-name.ts'

export type FileBase = (typeof FILE_BASES)[number]

/** One file of a backup; its object is named by its index in `FileEntries`. */
export interface FileEntry {
  readonly Base: FileBase
  /** Path below the directory of `Base`; it never leaves it. */
  readonly Name: string
  /** CRC-32 (IEEE) of the stored bytes, 8 lowercase hex digits. */
  readonly Hash: string
  readonly ParentPath: ''
}

/** The record that completes a full backup: Vitess's keys (go/vt/mysqlctl/builtinbackupengine.go), and one of ours that it ignores. */
export interface Manifest {
  /** Empty where an older Vitess did not say, as are other texts below. */
  readonly BackupName: string
  readonly BackupMethod: 'builtin'
  /** Every transaction in the data. */
  readonly Position: Position
  /** What its server had purged from its binary logs. */
  readonly PurgedPosition: Position | ''
  readonly FromPosition: ''
  readonly FromBackup: ''
  readonly Incremental: false
  /** RFC 3339, UTC, as is `FinishedTime`. */
  readonly BackupTime: string
  readonly FinishedTime: string
  readonly ServerUUID: string
  readonly TabletAlias: string
  readonly Hostname: string
  readonly Keyspace: string
  readonly Shard: string
  /** `Ver 9.7.4 MySQL Community Server`: version and comment of the server. */
  readonly MySQLVersion: string
  /** Taken after a shutdown with `innodb_fast_shutdown=0`. */
  readonly UpgradeSafe: boolean
  readonly IncrementalDetails: null
  /** Empty means `pgzip`. Says nothing when `SkipCompress`. */
  readonly CompressionEngine: string
  readonly FileEntries: readonly FileEntry[]
  readonly SkipCompress: boolean
  readonly ExternalDecompressor: string
  /** Absent in backups that Vitess made. */
  readonly Tabletkeeper?: TabletkeeperSection
}

export interface TabletkeeperSection {
  readonly FormatVersion: 1
  /** How objects were written: `frames` are independent zstd frames of `FrameSize` plain bytes, then a seek table (engine/frames/seek-table.ts). */
  readonly Engine: 'frames'
  /** Plain bytes of each frame but the last of an object. */
  readonly FrameSize: number
  /** One for each of `FileEntries`, in that order. */
  readonly Files: readonly StoredFile[]
  /** What the check of InnoDB's pages found while they were copied. */
  readonly PageCheck: PageCheck
  /** Whether the files were copied from a clone while the tablet served already. */
  readonly Snapshot: SnapshotMode
  /** Version of tabletkeeper. */
  readonly Version: string
  /** Id of the workflow that made the backup, and of its run. */
  readonly Workflow: string
  readonly Run: string
  /** From the start of the run to this record. */
  readonly Seconds: number
  /** How long the tablet did not serve. */
  readonly OutOfServiceSeconds: number
  /** Transactions in the data that the shard's primary did not have when the backup was published: no restore chooses it by itself. */
  readonly Errant?: Position
}

export interface StoredFile {
  /** Plain bytes. */
  readonly Size: number
  /** Bytes in storage. */
  readonly Stored: number
  /** SHA-256, 64 hex digits, over the SHA-256 of the stored bytes of each frame and of the seek table, in their order. */
  readonly Hash: string
}

export interface PageCheck {
  /** How many pages had a wrong checksum on the tablet already. */
  readonly BadPages: number
  /** The first of them: index in `FileEntries` and number of the page in that file. */
  readonly Pages: readonly { readonly File: number; readonly Page: number }[]
}

/** The text of a MANIFEST as Go's json.MarshalIndent would write it, so that Vitess's own and ours differ in content alone. */
export function formatManifest(manifest: Manifest): string {
  const { CompressionEngine, Tabletkeeper } = manifest
  const inOrder = {
    BackupName: manifest.BackupName,
    BackupMethod: manifest.BackupMethod,
    Position: manifest.Position,
    PurgedPosition: manifest.PurgedPosition,
    FromPosition: manifest.FromPosition,
    FromBackup: manifest.FromBackup,
    Incremental: manifest.Incremental,
    BackupTime: manifest.BackupTime,
    FinishedTime: manifest.FinishedTime,
    ServerUUID: manifest.ServerUUID,
    TabletAlias: manifest.TabletAlias,
    Hostname: manifest.Hostname,
    Keyspace: manifest.Keyspace,
    Shard: manifest.Shard,
    MySQLVersion: manifest.MySQLVersion,
    UpgradeSafe: manifest.UpgradeSafe,
    IncrementalDetails: manifest.IncrementalDetails,
    ...(CompressionEngine === '' ? {} : { CompressionEngine }),
    FileEntries: manifest.FileEntries.map(({ Base, Name, Hash, ParentPath }) => ({ Base, Name, Hash, ParentPath })),
    SkipCompress: manifest.SkipCompress,
    ExternalDecompressor: manifest.ExternalDecompressor,
    ...(Tabletkeeper === undefined ? {} : { Tabletkeeper }),
  }
  // These five occur only inside strings; Go escapes them there for the sake of HTML and JavaScript.
  return JSON.stringify(inOrder, null, 2).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Where a MANIFEST was found, which it must agree with. */
export interface BackupPlace {
  readonly shard: ShardName
  readonly backup: BackupName
}

/**
 * Reads the MANIFEST of a full backup, ours or Vitess's. What it names is safe to write: every path stays below its directory.
 * @throws CorruptBackup naming the object and the reason; also for backups that cannot be restored here (incremental, other engines)
 */
export function parseManifest(text: string, expected: BackupPlace): Manifest {
  const object = `${expected.shard}/${expected.backup}/MANIFEST`
  const parsed = manifestSchema.safeParse(parseJson(text, object))
  if (!parsed.success) throw corrupt(object, describeIssues(parsed.error))
  const manifest: Manifest = parsed.data
  const fault =
    faultOfPlace(manifest, expected) ??
    faultOfFiles(manifest.FileEntries) ??
    (manifest.Tabletkeeper && faultOfSection(manifest.Tabletkeeper, manifest.FileEntries.length))
  if (fault !== undefined) throw corrupt(object, fault)
  return manifest
}

function parseJson(text: string, object: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw corrupt(object, `it is not JSON (${messageOf(cause)})`, cause)
  }
}

function describeIssues({ issues }: z.ZodError): string {
  const [first, ...others] = issues
  const key = (first?.path ?? []).map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return `${key.replace(/^\./, '') || 'its content'}: ${first?.message}${others.length > 0 ? ` (and ${others.length} more)` : ''}`
}

/** A backup that was copied elsewhere, or whose MANIFEST was exchanged, must not pass for another. */
function faultOfPlace(manifest: Manifest, { shard: place, backup }: BackupPlace): string | undefined {
  const { keyspace, shard } = partsOf(place)
  const contradictions = (
    [
      ['Keyspace', manifest.Keyspace, keyspace],
      ['Shard', manifest.Shard, shard],
      ['BackupName', manifest.BackupName, backup],
      ['TabletAlias', manifest.TabletAlias, parseBackupName(backup).alias],
    ] as const
  ).filter(([, said, expected]) => said !== '' && said !== expected)
  const [first] = contradictions
  return (
    first && `its ${first[0]} is ${JSON.stringify(first[1])}, but it lies where ${JSON.stringify(first[2])} is meant`
  )
}

function corrupt(object: string, reason: string, cause?: unknown): TabletkeeperError {
  return new TabletkeeperError('CorruptBackup', `${object}: ${reason}`, {
    cause,
    hint: 'This backup is not restored from. Choose another: tabletkeeper list shows them.',
  })
}
