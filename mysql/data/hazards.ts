import { basename, dirname, relative, resolve, sep } from 'node:path'
import { z } from 'zod'
import type { MysqlConnection } from '../admin/admin.ts'
import { channels, filters, groupReplication, gtids } from '../replication/hazards.ts'
import { readGlobals } from '../settings/global-variables.ts'
import type { ServerLayout } from '../settings/my-cnf.ts'
import { type Hazard, nameSchema, several } from './hazard.ts'

/** Of the tablespace of temporary tables, which is made anew at each start. */
const TEMPORARY_FILE = /^ibtmp\d+$/

/**
 * Looks for everything that makes a cold copy of this server wrong, or a restart of it harmful; the worst first. Changes nothing, not
 * even by touching a MEMORY table. Long transactions pass by themselves: `longestTransactionSeconds`.
 */
export async function findHazards(connection: MysqlConnection, layout: ServerLayout): Promise<Hazard[]> {
  const found = [
    await dataFilesElsewhere(connection, layout),
    await encryption(connection),
    await redoLog(connection),
    await emptiedTables(connection),
    await groupReplication(connection),
    await channels(connection),
    await gtids(connection),
    await filters(connection),
    await lostSettings(connection),
  ]
  return found.flat()
}

async function dataFilesElsewhere(connection: MysqlConnection, layout: ServerLayout): Promise<Hazard[]> {
  const files = await connection.query('SELECT path AS name FROM information_schema.innodb_datafiles', nameSchema)
  const outside = files.map(({ name }) => name).filter((path) => !isSelected(path, layout))
  if (outside.length === 0) return []
  return [
    {
      what: 'data files elsewhere',
      message: `data files lie where no backup takes them from: ${several(outside)}`,
      hint: 'They would be missing in a backup. Move those tables, tablespaces or undo logs into the data directory, tables into that of their database.',
    },
  ]
}

/**
 * Whether `selectFiles` finds a data file: in the data directory or a database's directory in it, or as a system file. MySQL lets others be
 * made in the directory of the system files, too.
 */
function isSelected(path: string, { datadir, innodbDataHome, systemFiles }: ServerLayout): boolean {
  const file = resolve(datadir, path)
  const [first, ...more] = relative(datadir, file).split(sep)
  if (first !== '..' && more.length <= 1) return true
  const name = basename(file)
  return dirname(file) === innodbDataHome && (systemFiles.includes(name) || TEMPORARY_FILE.test(name))
}

async function encryption(connection: MysqlConnection): Promise<Hazard[]> {
  const spaces = await connection.query(
    "SELECT name FROM information_schema.innodb_tablespaces WHERE encryption = 'Y'",
    nameSchema,
  )
  const logs = await readGlobals(connection, ['innodb_redo_log_encrypt', 'innodb_undo_log_encrypt'])
  const encrypted = [
    ...spaces.map(({ name }) => name),
    ...[...logs].filter(([, value]) => value === 'ON').map(([name]) => name),
  ]
  if (encrypted.length === 0) return []
  return [
    {
      what: 'encryption',
      message: `encrypted with a key that a backup does not hold: ${several(encrypted)}`,
      hint: 'Backups of encrypted data are not supported yet: without the keyring they could not be restored.',
    },
  ]
}

async function redoLog(connection: MysqlConnection): Promise<Hazard[]> {
  const enabled = await connection.query(
    "SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_enabled'",
    z.object({ Value: z.string() }),
  )
  if (enabled[0]?.Value !== 'OFF') return []
  return [
    {
      what: 'redo log disabled',
      message: 'the redo log is disabled, so that this server does not survive a crash',
      hint: 'ALTER INSTANCE ENABLE INNODB REDO_LOG',
    },
  ]
}

/** Tables that a restart empties, and whose first use then writes a transaction that no other server has. */
export async function memoryTables(connection: MysqlConnection): Promise<string[]> {
  // Only what the data dictionary itself knows: a column such as TABLE_ROWS would open the tables.
  const tables = await connection.query(
    `SELECT CONCAT(table_schema, '.', table_name) AS name FROM information_schema.tables
      WHERE engine = 'MEMORY' AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')`,
    nameSchema,
  )
  return tables.map(({ name }) => name)
}

async function emptiedTables(connection: MysqlConnection): Promise<Hazard[]> {
  const tables = await memoryTables(connection)
  if (tables.length === 0) return []
  return [
    {
      what: 'MEMORY tables',
      message: `a restart empties its MEMORY tables: ${several(tables)}`,
      hint: 'ALTER TABLE … ENGINE = InnoDB on the primary, or drop them.',
    },
  ]
}

async function lostSettings(connection: MysqlConnection): Promise<Hazard[]> {
  const lost = await connection.query(
    `SELECT variable_name AS name FROM performance_schema.variables_info
      WHERE variable_name IN ('server_id', 'gtid_mode', 'enforce_gtid_consistency') AND variable_source = 'DYNAMIC'
        AND variable_name NOT IN (SELECT variable_name FROM performance_schema.persisted_variables)`,
    nameSchema,
  )
  const hazards: Hazard[] = []
  if (lost.length > 0) {
    const names = lost.map(({ name }) => name)
    hazards.push({
      what: 'settings lost by a restart',
      message: `set at runtime, so that a restart loses it: ${several(names)}`,
      hint: 'Write it into my.cnf, or SET PERSIST.',
    })
  }
  if ((await readGlobals(connection, ['persisted_globals_load'])).get('persisted_globals_load') === 'OFF') {
    hazards.push({
      what: 'settings lost by a restart',
      message: 'persisted_globals_load is OFF, so that a restart cannot be kept from starting replication',
      hint: 'Remove persisted_globals_load=OFF from my.cnf.',
    })
  }
  return hazards
}

/**
 * How long the oldest transaction runs that a stop would wait for: one that changes data, is rolled back, or is being applied by
 * replication. Prepared XA transactions survive a restart and do not count. 0 when there is none.
 * Not to be asked more often than each 200 ms: InnoDB answers from a copy, which questions in quick succession keep from being renewed.
 */
export async function longestTransactionSeconds(connection: MysqlConnection): Promise<number> {
  const { seconds } = await connection.one(
    `SELECT GREATEST(
      (SELECT COALESCE(MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())), 0) FROM information_schema.innodb_trx
        WHERE trx_state = 'ROLLING BACK' OR (trx_rows_modified > 0 AND trx_mysql_thread_id <> 0)),
      (SELECT COALESCE(MAX(TIMESTAMPDIFF(SECOND, applying_transaction_start_apply_timestamp, NOW())), 0)
        FROM performance_schema.replication_applier_status_by_worker WHERE applying_transaction <> '')) AS seconds`,
    z.object({ seconds: z.coerce.number() }),
  )
  return seconds
}
