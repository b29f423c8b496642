import { parseAlias, type TabletAlias } from './alias.ts'
import { TabletkeeperError } from './errors.ts'

/** `<YYYY-MM-DD>.<HHMMSS>.<alias>` in UTC, as Vitess names backups (go/vt/mysqlctl/backup.go). Sorting by name sorts by time. */
export type BackupName = string & { readonly __brand: 'BackupName' }

const NAME = /^(\d{4}-\d{2}-\d{2})\.(\d{2})(\d{2})(\d{2})\.([^.]+)$/

/** The name of a backup of `alias` that started at `time`; parts of a second are dropped. */
export function backupNameOf(alias: TabletAlias, time: Date): BackupName {
  const [date, clock] = time.toISOString().slice(0, 19).split('T')
  return `${date}.${clock?.replaceAll(':', '')}.${alias}` as BackupName
}

/**
 * Reads a backup's name.
 * @throws InvalidInput when it is not one, or names a time that does not exist
 */
export function parseBackupName(text: string): {
  readonly name: BackupName
  readonly time: Date
  readonly alias: TabletAlias
} {
  const [, date, hours, minutes, seconds, alias] = NAME.exec(text) ?? []
  const time = new Date(`${date}T${hours}:${minutes}:${seconds}Z`)
  if (alias === undefined || Number.isNaN(time.getTime()) || backupNameOf(parseAlias(alias), time) !== text) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(text)} is not the name of a backup`, {
      hint: 'A name looks like 2026-11-24.023004.zone1-0000000101; tabletkeeper list shows them.',
    })
  }
  return { name: text as BackupName, time, alias: parseAlias(alias) }
}
