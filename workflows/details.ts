import type { BackupPlan, CopySummary, FoundBackup, Rejoined } from '../activities/contract.ts'
import type { TabletAlias } from '../model/alias.ts'
import type { BackupName } from '../model/backup-name.ts'
import type { Warning } from '../model/runs.ts'
import { formatAmounts, formatBytes } from '../model/units.ts'
import type { Verification } from '../model/verification.ts'

/** What came of a step, in the few words that fit on its line. */
export const planDetail = (plan: BackupPlan): string =>
  `lag ${plan.lagSeconds}s · ${formatBytes(plan.dataBytes)} · ${plan.othersServing === 0 ? 'nobody else serves' : plan.othersServing === 1 ? '1 other keeps serving' : `${plan.othersServing} others keep serving`}${plan.snapshot === 'reflink' ? ' · from a clone' : ''}`

export const drainDetail = (drained: { readonly sessionsEnded: number }): string =>
  drained.sessionsEnded === 0 ? 'no client left' : `${drained.sessionsEnded} clients ended`

export const cloneDetail = (clone: { readonly files: number }): string => `${clone.files} files, reflink`

export const copyDetail = (copy: CopySummary): string =>
  `${copy.files} files, ${formatBytes(copy.dataBytes)} → ${formatBytes(copy.storedBytes)}`

export const checkDetail = (checked: { readonly objects: number }): string => `${checked.objects} objects`

/** Damaged pages fail no backup: they were damaged before it, and whoever looks after the tablet has to know. */
export function pageWarnings({ badPages, firstBadPages }: CopySummary, tablet: TabletAlias): Warning[] {
  if (badPages === 0) return []
  const [first] = firstBadPages
  const where = first === undefined ? '' : `, the first in ${first.file}, page ${first.page}`
  const count = badPages === 1 ? '1 page of its files is' : `${badPages} pages of its files are`
  return [
    {
      about: tablet,
      message: `${count} damaged${where}: copied as they are`,
      hint: 'CHECK TABLE tells what is lost; restore the tablet from a backup without them.',
    },
  ]
}

/** A backup that nothing is restored from is one only for who looks for what a failover has lost. */
export function errantWarnings(published: { readonly errant: string | null } | null, backup: BackupName): Warning[] {
  // Histories that were recorded before have no answer of that step.
  const errant = published?.errant ?? null
  if (errant === null) return []
  return [
    {
      about: backup,
      message: `it holds transactions that the primary never had, so no restore chooses it: ${errant}`,
      hint: 'A failover left them behind. Take another backup; what was lost can be read in this one.',
    },
  ]
}

export const rejoinDetail = (back: Rejoined): string =>
  back.broken === undefined
    ? `type ${back.type}, lag ${back.lagSeconds ?? 0}s${back.caughtUp ? '' : ', not caught up: unserved until it is'}`
    : `type ${back.type}, unserved: replication does not run`

/** The backup is whole; the tablet needs somebody. */
export function brokenWarnings({ broken }: Pick<Rejoined, 'broken'>, tablet: TabletAlias): Warning[] {
  return broken === undefined ? [] : [{ about: tablet, message: `it is unserved: ${broken}` }]
}

export const foundDetail = (backup: FoundBackup): string => (backup.found ? backup.backup : 'none: starts empty')

export const downloadDetail = (files: { readonly dataBytes: number }): string => formatBytes(files.dataBytes)

export const verifyDetail = (found: Verification): string =>
  `${found.files} files, ${formatAmounts([found.storedBytes, found.dataBytes], ' → ')}`
