import type { Manifest, TabletkeeperSection } from './manifest.ts'

/** Sums over the files of a backup; null where its MANIFEST does not say (Vitess's own do not). */
export interface BackupSizes {
  readonly files: number
  readonly dataBytes: number | null
  readonly storedBytes: number | null
  /** How long it took. */
  readonly seconds: number | null
}

/** A MANIFEST without its lists of files: small, however many those are. */
export interface ManifestSummary extends Omit<Manifest, 'FileEntries' | 'Tabletkeeper'> {
  readonly Tabletkeeper?: Omit<TabletkeeperSection, 'Files'>
  readonly sizes: BackupSizes
}

export function summaryOf(manifest: Manifest): ManifestSummary {
  const { FileEntries: _entries, Tabletkeeper: section, ...rest } = manifest
  const sizes = sizesOf(manifest)
  if (section === undefined) return { ...rest, sizes }
  const { Files: _files, ...Tabletkeeper } = section
  return { ...rest, Tabletkeeper, sizes }
}

/** What a MANIFEST says about sizes and time. */
export function sizesOf({ FileEntries, Tabletkeeper, BackupTime, FinishedTime }: Manifest): BackupSizes {
  const sum = (pick: 'Size' | 'Stored') => Tabletkeeper?.Files.reduce((total, file) => total + file[pick], 0) ?? null
  const took = FinishedTime === '' ? null : (Date.parse(FinishedTime) - Date.parse(BackupTime)) / 1000
  return {
    files: FileEntries.length,
    dataBytes: sum('Size'),
    storedBytes: sum('Stored'),
    seconds: Tabletkeeper?.Seconds ?? took,
  }
}
