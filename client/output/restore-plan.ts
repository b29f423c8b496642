import type { TabletConfig } from '../../model/config.ts'
import { sizesOf } from '../../model/manifest-summary.ts'
import type { TabletReport } from '../../model/report.ts'
import { formatBytes } from '../../model/units.ts'
import type { CompleteBackup } from '../../storage/catalogue/catalogue.ts'
import type { Lookup } from '../restore-lookup.ts'
import { formatTime } from './clock.ts'
import { shortenPosition } from './position.ts'

/** What a restore will do: what is fetched, what is replaced, what is lost, and what comes back with the replication. */
export function renderRestorePlan(tablet: TabletConfig, lookup: Lookup, report: TabletReport): string[] {
  const lines = [
    `${'untold' in lookup ? 'chosen by the agent' : describeBackup(lookup)}, then replicate from ${report.primary ?? 'the primary'}`,
    ...('untold' in lookup ? [`storage cannot be read from here: ${lookup.untold}`] : []),
    replaced(tablet, lookup, report),
    ...(report.mysqld === 'empty' ? [] : [lost(report)]),
    replayed(lookup, report),
  ]
  return lines.map((line, at) => `${at === 0 ? 'plan' : '    '}  ${line}`)
}

/** `2026-11-24.023004.zone1-0000000101, 13.8 GiB down` */
export function describeBackup({ name, manifest }: CompleteBackup): string {
  const { storedBytes } = sizesOf(manifest)
  return storedBytes === null ? name : `${name}, ${formatBytes(storedBytes)} down`
}

function replaced(
  { alias, host }: TabletConfig,
  lookup: Lookup,
  { mysqld, dataBytes, freeBytes }: TabletReport,
): string {
  const needs = 'untold' in lookup ? null : sizesOf(lookup.manifest).dataBytes
  const disk = `disk: ${needs === null ? '' : `needs ${formatBytes(needs)}, `}free ${formatBytes(freeBytes)}`
  const room = needs !== null && needs > freeBytes ? `${disk}: NOT ENOUGH` : disk
  if (mysqld === 'empty') return `fills ${alias} on ${host}, which is empty (${room})`
  return `REPLACES ${formatBytes(dataBytes)} of ${alias} on ${host}, kept aside until caught up (${room})`
}

function lost({ wouldLose, primary, alias, mysqld }: TabletReport): string {
  if (wouldLose !== null) {
    return `LOSES ${shortenPosition(wouldLose)}, which ${primary ?? 'the primary'} lacks: refused unless agent.replaceData is always`
  }
  if (primary === null || mysqld !== 'up')
    return 'nobody can tell what is lost: refused unless agent.replaceData is always'
  return `loses nothing: ${primary} has every transaction of ${alias}`
}

function replayed(lookup: Lookup, { primary }: TabletReport): string {
  const since = 'untold' in lookup ? 'the backup' : formatTime(lookup.time)
  return `replays whatever ${primary ?? 'the primary'} did since ${since}, mistakes included`
}
