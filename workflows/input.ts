import { parseAlias } from '../model/alias.ts'
import { parseBackupName } from '../model/backup-name.ts'
import { TabletkeeperError } from '../model/errors.ts'
import {
  BACKUP_FORCES,
  type BackupInput,
  type BootstrapInput,
  type RestoreInput,
  type RunInput,
} from '../model/runs.ts'
import { parseShardName } from '../model/shard-name.ts'
import { parseTime } from '../model/time.ts'
import { parseDuration } from '../model/units.ts'
import type { VerifyInput } from '../model/verification.ts'

/** Inputs come from anybody who may start workflows (`temporal workflow start`): they are parsed before anything else happens. */
type Parsed<Input extends RunInput> = Input & { readonly agentTimeout: string }

const COMMON = ['shard', 'tablet', 'agentTimeout']

/** @throws InvalidInput */
export function parseRunInput<Input extends RunInput>(given: Input, known: readonly string[] = COMMON): Parsed<Input> {
  assertKeys(given, known)
  const agentTimeout = given.agentTimeout ?? '1m'
  parseDuration(agentTimeout)
  return { ...given, shard: parseShardName(given.shard), tablet: parseAlias(given.tablet), agentTimeout }
}

/** @throws InvalidInput */
export function parseBackupInput(given: BackupInput): Parsed<BackupInput> {
  const input = parseRunInput(given, [...COMMON, 'concurrency', 'allowPrimary', 'force', 'interval'])
  assertConcurrency(input.concurrency)
  if (input.allowPrimary !== undefined && typeof input.allowPrimary !== 'boolean')
    throw invalid('allowPrimary', input.allowPrimary, 'true or false')
  const { force = [] } = input
  if (!Array.isArray(force) || force.some((one) => !BACKUP_FORCES.includes(one)))
    throw invalid('force', force, `a list of ${BACKUP_FORCES.join(', ')}`)
  if (input.interval !== undefined) parseDuration(input.interval)
  return input
}

/** @throws InvalidInput */
export function parseRestoreInput(given: RestoreInput): Parsed<RestoreInput> {
  const input = parseRunInput(given, [...COMMON, 'concurrency', 'backup', 'before'])
  assertConcurrency(input.concurrency)
  if (input.backup !== undefined && input.before !== undefined)
    throw invalid('backup and before', input.before, 'only one of them')
  if (input.backup !== undefined) parseBackupName(input.backup)
  if (input.before !== undefined) parseTime(input.before)
  return input
}

/** @throws InvalidInput */
export function parseBootstrapInput(given: BootstrapInput): Parsed<BootstrapInput> {
  const input = parseRunInput(given, [...COMMON, 'concurrency', 'type'])
  assertConcurrency(input.concurrency)
  if (input.type !== undefined && input.type !== 'REPLICA' && input.type !== 'RDONLY')
    throw invalid('type', input.type, 'REPLICA or RDONLY')
  return input
}

/** @throws InvalidInput */
export function parseVerifyInput(given: VerifyInput): VerifyInput {
  assertKeys(given, ['shard', 'backup', 'concurrency'])
  assertConcurrency(given.concurrency)
  const backup = given.backup === undefined ? {} : { backup: parseBackupName(given.backup).name }
  return { ...given, shard: parseShardName(given.shard), ...backup }
}

function assertKeys(given: object, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null)
    throw invalid('the input', given, `a JSON object with ${known.slice(0, 2).join(' and ')}`)
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw invalid('the key', unknown, `one of ${known.join(', ')}`)
}

function assertConcurrency(value: unknown): void {
  if (value !== undefined && !(Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 64)) {
    throw invalid('concurrency', value, 'a whole number from 1 to 64')
  }
}

function invalid(what: string, value: unknown, allowed: string): TabletkeeperError {
  return new TabletkeeperError('InvalidInput', `${what} is ${JSON.stringify(value)}; allowed is ${allowed}`)
}
