import type { BackupPlan, CopySummary, FoundBackup, Rejoined } from '../activities/contract.ts'
import { formatBytes } from '../model/units.ts'

/** What came of a step, in the few words that fit on its line. */
export const planDetail = (plan: BackupPlan): string =>
  `lag ${plan.lagSeconds}s · ${formatBytes(plan.dataBytes)} · ${plan.othersServing === 1 ? '1 other keeps' : `${plan.othersServing} others keep`} serving`

export const drainDetail = (drained: { readonly sessionsEnded: number }): string =>
  drained.sessionsEnded === 0 ? 'no client left' : `${drained.sessionsEnded} clients ended`

export const copyDetail = (copy: CopySummary): string =>
  `${copy.files} files, ${formatBytes(copy.dataBytes)} → ${formatBytes(copy.storedBytes)}`

export const rejoinDetail = (back: Rejoined): string =>
  `type ${back.type}, lag ${back.lagSeconds ?? 0}s${back.caughtUp ? '' : ', not caught up: unserved until it is'}`

export const foundDetail = (backup: FoundBackup): string => (backup.found ? backup.backup : 'none: starts empty')

export const downloadDetail = (files: { readonly dataBytes: number }): string => formatBytes(files.dataBytes)
