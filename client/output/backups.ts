import type { Manifest } from '../../model/manifest.ts'
import { formatBytes, formatDuration } from '../../model/units.ts'
import { isRestorable, type ListedBackup } from '../../storage/catalogue/catalogue.ts'
import { formatAge } from './clock.ts'
import type { Column } from './table.ts'

/** A backup as `--json` shows it, alone and in lists. Null is what the MANIFEST does not say, or what there is no MANIFEST for. */
export interface BackupDocument {
  readonly name: string
  readonly state: 'complete' | 'incomplete' | 'corrupt'
  readonly reason: string | null
  readonly tablet: string
  readonly startedAt: string
  readonly finishedAt: string | null
  readonly position: string | null
  readonly purgedPosition: string | null
  readonly serverUuid: string | null
  readonly host: string | null
  readonly mysqlVersion: string | null
  readonly files: number | null
  readonly dataBytes: number | null
  readonly storedBytes: number | null
  readonly seconds: number | null
  readonly compression: string | null
  /** This and all that follows is null when Vitess made it. How its files were copied: `reflink` or `none`. */
  readonly snapshot: string | null
  readonly outOfServiceSeconds: number | null
  /** Pages of InnoDB that were damaged on the tablet already. */
  readonly badPages: number | null
  /** Transactions in it that the primary never had; null when there are none: no restore chooses it otherwise. */
  readonly errant: string | null
  readonly tabletkeeperVersion: string | null
  readonly workflowId: string | null
  readonly runId: string | null
}

/** How the objects of a backup are compressed: Vitess leaves the name of its default away. */
export function compressionOf({
  SkipCompress,
  CompressionEngine,
}: Pick<Manifest, 'SkipCompress' | 'CompressionEngine'>): string {
  return SkipCompress ? 'none' : CompressionEngine || 'pgzip'
}

/** The entry as one flat, stable document. */
export function backupDocument(entry: ListedBackup): BackupDocument {
  const manifest = entry.state === 'complete' ? entry.manifest : undefined
  const sizes = manifest?.sizes
  return {
    name: entry.name,
    state: entry.state,
    reason: entry.state === 'corrupt' ? entry.reason : null,
    tablet: entry.tablet,
    startedAt: entry.time.toISOString(),
    finishedAt: manifest?.FinishedTime || null,
    position: manifest?.Position ?? null,
    purgedPosition: manifest?.PurgedPosition || null,
    serverUuid: manifest?.ServerUUID || null,
    host: manifest?.Hostname || null,
    mysqlVersion: manifest?.MySQLVersion || null,
    files: sizes?.files ?? null,
    dataBytes: sizes?.dataBytes ?? null,
    storedBytes: sizes?.storedBytes ?? null,
    seconds: sizes?.seconds ?? null,
    compression: manifest === undefined ? null : compressionOf(manifest),
    snapshot: manifest?.Tabletkeeper?.Snapshot ?? null,
    outOfServiceSeconds: manifest?.Tabletkeeper?.OutOfServiceSeconds ?? null,
    badPages: manifest?.Tabletkeeper?.PageCheck.BadPages ?? null,
    errant: manifest?.Tabletkeeper?.Errant ?? null,
    tabletkeeperVersion: manifest?.Tabletkeeper?.Version ?? null,
    workflowId: manifest?.Tabletkeeper?.Workflow ?? null,
    runId: manifest?.Tabletkeeper?.Run ?? null,
  }
}

export const BACKUP_COLUMNS: readonly Column[] = [
  { title: 'BACKUP' },
  { title: 'STATE' },
  { title: 'SIZE', align: 'right' },
  { title: 'STORED', align: 'right' },
  { title: 'TOOK', align: 'right' },
]

/** The entry as a row of `BACKUP_COLUMNS`. */
export function backupRow(entry: ListedBackup): string[] {
  const sizes = entry.state === 'complete' ? entry.manifest.sizes : undefined
  return [
    entry.name,
    stateOf(entry),
    orDash(sizes?.dataBytes, formatBytes),
    orDash(sizes?.storedBytes, formatBytes),
    orDash(sizes?.seconds, (seconds) => formatDuration(seconds * 1000)),
  ]
}

/** A complete backup that no restore chooses is another thing to who reads a list. */
function stateOf(entry: ListedBackup): string {
  return entry.state === 'complete' && !isRestorable(entry) ? 'errant' : entry.state
}

/** What a list amounts to: `2 complete · newest 8h ago · binary logs of zone1-0000000100: all can catch up`. */
export function summarize(
  shard: string,
  entries: readonly ListedBackup[],
  now: Date,
  logs?: { readonly primary: string; readonly able: number },
): string {
  const complete = entries.filter(isRestorable)
  const newest = complete.at(-1)
  if (entries.length === 0) return `no backups of ${shard}`
  const others = entries.length - complete.length
  const parts = [`${complete.length} complete`]
  if (others > 0) parts.push(`${others} not`)
  if (newest !== undefined) parts.push(`newest ${formatAge(newest.time, now)} ago`)
  if (logs !== undefined && complete.length > 0)
    parts.push(`binary logs of ${logs.primary}: ${amountOf(logs.able, complete.length)}`)
  return parts.join(' · ')
}

function amountOf(able: number, all: number): string {
  if (able === all) return all === 1 ? 'it can catch up' : 'all can catch up'
  if (able === 0) return `${all === 1 ? 'it cannot' : 'none can'} catch up: take a backup now`
  return `${able} of ${all} can catch up`
}

function orDash<T>(value: T | null | undefined, format: (value: T) => string): string {
  return value === null || value === undefined ? '-' : format(value)
}
