import type { Logger } from 'pino'
import type { CopyRecord } from '../engine/ledger/copy-ledger.ts'
import type { BadPage } from '../model/runs.ts'

/** A run tells of this many; its MANIFEST has more. */
const TOLD = 10

/**
 * Says in the agent's log which files have pages that were damaged on the tablet already, one line for each file.
 * @returns the first of these pages
 */
export function reportBadPages(record: Pick<CopyRecord, 'backup' | 'files' | 'firstBadPages'>, log: Logger): BadPage[] {
  const pages = new Map<string, number[]>()
  for (const { file, page } of record.firstBadPages) {
    const name = record.files[file]?.name ?? String(file)
    pages.set(name, [...(pages.get(name) ?? []), page])
  }
  for (const [file, numbers] of pages) {
    log.warn(
      { event: 'bad pages', backup: record.backup, file, pages: numbers.slice(0, TOLD), count: numbers.length },
      `${file} has damaged pages (${numbers.slice(0, TOLD).join(', ')}${numbers.length > TOLD ? ', …' : ''}): copied as they are`,
    )
  }
  return [...pages].flatMap(([file, numbers]) => numbers.map((page) => ({ file, page }))).slice(0, TOLD)
}
