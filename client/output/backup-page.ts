import type { ManifestSummary } from '../../model/manifest-summary.ts'
import { formatAmounts, formatDuration } from '../../model/units.ts'
import type { ListedBackup } from '../../storage/catalogue/catalogue.ts'
import { compressionOf } from './backups.ts'
import { formatClock, formatTime } from './clock.ts'
import { counted } from './count.ts'
import type { Paint } from './terminal.ts'

/** Everything about one backup, a fact a line. */
export function renderBackup(entry: ListedBackup, paint: Paint): string[] {
  const title = `${paint.strong(entry.name)}  ${entry.state === 'complete' ? paint.good(entry.state) : paint.bad(entry.state)}`
  if (entry.state === 'incomplete') {
    return [
      title,
      fact('started', formatTime(entry.time)),
      fact('why', 'it has no MANIFEST: it is being made, or its run ended early'),
    ]
  }
  if (entry.state === 'corrupt') return [title, fact('started', formatTime(entry.time)), fact('why', entry.reason)]
  const { manifest } = entry
  return [
    title,
    fact('taken', takenOf(entry.time, manifest)),
    fact('position', manifest.Position.replace(/^MySQL56\//, '') || 'empty'),
    fact('data', dataOf(manifest)),
    ...(manifest.Tabletkeeper === undefined ? [] : [fact('tablet', tabletOf(manifest.Tabletkeeper))]),
    ...errantFact(manifest),
    fact('restores', `MySQL ${seriesOf(manifest.MySQLVersion)}; stock Vitess: yes`),
    fact('not in it', 'binary logs, keyring, my.cnf'),
    fact('run', manifest.Tabletkeeper?.Workflow ?? 'made by Vitess'),
  ]
}

function fact(name: string, value: string): string {
  return `${name.padEnd(9)} ${value}`
}

function errantFact({ Tabletkeeper }: ManifestSummary): string[] {
  const errant = Tabletkeeper?.Errant
  if (errant === undefined) return []
  return [fact('errant', `${errant.replace(/^MySQL56\//, '')}: the primary never had these, so no restore chooses it`)]
}

function takenOf(started: Date, { FinishedTime, Hostname, MySQLVersion }: ManifestSummary): string {
  const until = FinishedTime === '' ? '' : ` to ${formatClock(new Date(FinishedTime))}`
  const host = Hostname === '' ? '' : ` on ${Hostname}`
  return `${started.toISOString().slice(0, 10)} ${formatClock(started)}${until} UTC${host}, ${MySQLVersion || 'version not told'}`
}

function dataOf(manifest: ManifestSummary): string {
  const { files, dataBytes, storedBytes } = manifest.sizes
  const compression = compressionOf(manifest)
  if (dataBytes === null || storedBytes === null) return `${counted(files, 'file')}, ${compression}; sizes are not told`
  return `${formatAmounts([dataBytes, storedBytes], ' → ')} ${compression}, ${counted(files, 'file')}`
}

/** What it meant for the tablet, and how that was. */
function tabletOf({ OutOfServiceSeconds, Snapshot, PageCheck }: NonNullable<ManifestSummary['Tabletkeeper']>): string {
  const out = `out of service for ${formatDuration(OutOfServiceSeconds * 1000)}`
  const how = Snapshot === 'reflink' ? ', copied from a clone' : ''
  const pages = PageCheck.BadPages === 0 ? 'no damaged page' : counted(PageCheck.BadPages, 'damaged page')
  return `${out}${how}; ${pages}`
}

function seriesOf(version: string): string {
  const [, series] = /(\d+\.\d+)\.\d+/.exec(version) ?? []
  return series === undefined ? 'version not told' : `${series}.x`
}
