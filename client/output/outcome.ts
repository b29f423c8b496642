import type { BackupResult, RestoreResult, Warning } from '../../model/runs.ts'
import { formatAmounts, formatBytes, formatDuration } from '../../model/units.ts'
import type { VerifyResult } from '../../model/verification.ts'
import { formatLag } from './clock.ts'
import { counted } from './count.ts'
import type { Paint } from './terminal.ts'

/** `done  2026-11-24.023004.zone1-0000000101  41.2 → 13.8 GiB, 1m58s, out of service 19.9s, 214 files` */
export function renderOutcome(result: BackupResult | RestoreResult | VerifyResult, paint: Paint): string {
  return `${paint.good('done')}  ${outcomeOf(result)}`
}

/** Findings of a run that went well, each with what to do about it. */
export function renderWarnings(warnings: readonly Warning[], paint: Paint): string[] {
  return warnings.flatMap(({ about, message, hint }) => [
    `${paint.warn('warning')} ${about}: ${message}`,
    ...(hint === undefined ? [] : [`  ${hint}`]),
  ])
}

function outcomeOf(result: BackupResult | RestoreResult | VerifyResult): string {
  if ('damagedObjects' in result) return verifyOutcome(result)
  return 'storedBytes' in result ? backupOutcome(result) : restoreOutcome(result)
}

function verifyOutcome({ backup, files, storedBytes, dataBytes, seconds }: VerifyResult): string {
  const amounts = formatAmounts([storedBytes, dataBytes], ' → ')
  return `${backup} is sound  ${amounts}, ${formatDuration(seconds * 1000)}, ${counted(files, 'file')} verified`
}

function backupOutcome({
  backup,
  dataBytes,
  storedBytes,
  seconds,
  outOfServiceSeconds,
  files,
  lagSeconds,
}: BackupResult): string {
  const facts = [
    formatAmounts([dataBytes, storedBytes], ' → '),
    formatDuration(seconds * 1000),
    `out of service ${formatDuration(outOfServiceSeconds * 1000)}`,
    `${counted(files, 'file')} checked`,
    ...(lagSeconds === null || lagSeconds < 1 ? [] : [formatLag(lagSeconds)]),
  ]
  return `${backup}  ${facts.join(', ')}`
}

function restoreOutcome({ tablet, shard, backup, dataBytes, seconds, type, lagSeconds }: RestoreResult): string {
  const from = backup === null ? `started empty: ${shard} has no backup` : `from ${backup}`
  const facts = [
    ...(backup === null ? [] : [formatBytes(dataBytes)]),
    formatDuration(seconds * 1000),
    `type ${type}`,
    ...(lagSeconds === null ? [] : [formatLag(lagSeconds)]),
  ]
  return `${tablet} ${from}  ${facts.join(', ')}`
}
