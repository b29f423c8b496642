import { z } from 'zod'
import { messageOf } from '../../model/errors.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { applyReplicationFilters, readReplicationFilters, replicationFiltersSchema } from '../replication/filters.ts'
import { readReplication } from '../replication/replication.ts'
import { readGlobals, setGlobal } from './global-variables.ts'
import { readPersisted, replacePersisted } from './persisted-file.ts'
import { OLD_NAMES, persistedValue, withoutPersisted, withPersisted } from './persisted-variables.ts'

/** The settings of `guardRestart`, which mysqld reads from its data directory whoever starts it. */
const GUARD = ['skip_replica_start', 'super_read_only'] as const

/** Changed by our own steps, so captured even where nobody had set them at runtime. */
const CHANGED_BY_US = [
  'event_scheduler',
  'innodb_fast_shutdown',
  'innodb_max_dirty_pages_pct',
  'innodb_max_dirty_pages_pct_lwm',
  'read_only',
  'rpl_stop_replica_timeout',
  'super_read_only',
]

/**
 * Set at runtime, yet not to be given back: variables of a session (anybody's SET SESSION marks a variable as set at runtime; others keep
 * their global value and are not touched), the state of GTIDs, and what makes the server who it is: a restore changes it on purpose, and
 * `findHazards` refuses to lose it.
 */
const NOT_CAPTURED = [
  'enforce_gtid_consistency',
  'foreign_key_checks',
  'gtid_mode',
  'gtid_purged',
  'server_id',
  'timestamp',
  'unique_checks',
]

/** performance_schema cuts longer values, and half a value must not be given back. */
const CUT = 1024

/** What a restart of mysqld forgets and our own steps change, as it was before. Holds no secret. */
export const capturedSettingsSchema = z.strictObject({
  variables: z.record(z.string(), z.string()),
  /** Null for a server without a source. */
  filters: replicationFiltersSchema.nullable(),
  /** The variables of `guardRestart` that were persisted before, with their values. */
  persisted: z.record(z.string(), z.string()),
})

export type CapturedSettings = z.infer<typeof capturedSettingsSchema>

/** Of what was captured, only the variables that our own steps change. */
export function changedByUs(captured: CapturedSettings): CapturedSettings {
  const variables = Object.entries(captured.variables).filter(([name]) => CHANGED_BY_US.includes(name))
  return { ...captured, variables: Object.fromEntries(variables) }
}

const variableSchema = z.object({ name: z.string(), value: z.string() })

/**
 * Reads what must be given back later. To be called before anything is changed: what it reads later would be our own changes.
 * @throws Refused for replication filters that cannot be read back
 */
export async function captureSettings(connection: MysqlConnection): Promise<CapturedSettings> {
  const variables = await connection.query(
    `SELECT variable_name AS name, variable_value AS value
      FROM performance_schema.variables_info JOIN performance_schema.global_variables USING (variable_name)
      WHERE variable_name IN (${CHANGED_BY_US.map(() => '?').join()})
        OR (variable_source = 'DYNAMIC' AND variable_name NOT IN (${NOT_CAPTURED.map(() => '?').join()})
          AND CHAR_LENGTH(variable_value) < ?)`,
    variableSchema,
    [...CHANGED_BY_US, ...NOT_CAPTURED, CUT],
  )
  return {
    variables: asRecord(variables),
    filters: (await readReplicationFilters(connection)) ?? null,
    persisted: asRecord(await readPersistedGuard(connection)),
  }
}

function readPersistedGuard(connection: MysqlConnection): Promise<z.infer<typeof variableSchema>[]> {
  return connection.query(
    'SELECT variable_name AS name, variable_value AS value FROM performance_schema.persisted_variables WHERE variable_name IN (?, ?)',
    variableSchema,
    [...GUARD],
  )
}

function asRecord(variables: readonly z.infer<typeof variableSchema>[]): Record<string, string> {
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]))
}

/** Makes sure that whoever starts this mysqld next gets it read-only and not replicating. `applySettings` lifts it. */
export async function guardRestart(connection: MysqlConnection): Promise<void> {
  for (const name of GUARD) await connection.execute(`SET PERSIST_ONLY ${name} = ON`)
}

/** The same of a mysqld that has ended without being told: a service starts it with arguments of its own. */
export async function guardStart(datadir: string): Promise<void> {
  const persisted = await readPersisted(datadir)
  if (GUARD.every((name) => persistedValue(persisted, name) === 'ON')) return
  const current = withoutPersisted(persisted, OLD_NAMES)
  const readOnly = withPersisted(current, 'mysql_dynamic_variables', { super_read_only: 'ON' })
  await replacePersisted(datadir, withPersisted(readOnly, 'mysql_static_variables', { skip_replica_start: 'ON' }))
}

/**
 * What becomes of `read_only` and `super_read_only`: 'as captured', unless the server has become a primary since; 'as now', whatever was
 * captured; 'read-only', whatever it has become, since another one takes the writes.
 */
export type WriteMode = 'as captured' | 'as now' | 'read-only'

/**
 * Gives back what was captured, whether mysqld was restarted since or not, and lifts the guard; one that stays 'read-only' keeps it from
 * writes also after a restart. Does only what is needed, so it may be called again. Where replication filters were lost while replication
 * runs, it is stopped for them and left stopped.
 * @returns a sentence for each setting that could not be given back, such as one of a plugin that is no longer there
 * @throws MysqldFailed when read_only or super_read_only is not as before; ReplicationFailed when replication does not stop
 */
export async function applySettings(
  connection: MysqlConnection,
  captured: CapturedSettings,
  writeMode: WriteMode = 'as captured',
): Promise<readonly string[]> {
  if (captured.filters !== null) await applyReplicationFilters(connection, captured.filters)
  const { read_only: readOnly, super_read_only: superReadOnly, ...others } = captured.variables
  const notGivenBack = await applyVariables(connection, others)
  const wanted = writeMode === 'read-only' ? READ_ONLY : { readOnly, superReadOnly }
  if (writeMode !== 'as now') notGivenBack.push(...(await applyReadOnly(connection, wanted, writeMode)))
  const persisted = writeMode === 'read-only' ? { ...captured.persisted, super_read_only: 'ON' } : captured.persisted
  await liftGuard(connection, persisted)
  return notGivenBack
}

/** Some bound others (…_lwm stays below its variable, …_max above), so what was refused or cut is tried again after the rest. */
const PASSES = 3

async function applyVariables(connection: MysqlConnection, wanted: Record<string, string>): Promise<string[]> {
  const refusals = new Map<string, string>()
  for (let pass = 1; ; pass += 1) {
    const present = await readGlobals(connection, Object.keys(wanted))
    const different = Object.entries(wanted).filter(([name, value]) => present.get(name) !== value)
    if (different.length === 0 || pass > PASSES) {
      return different.map(
        ([name, value]) =>
          `${name} is ${present.get(name) ?? 'unknown'}, not ${value}: ${refusals.get(name) ?? 'mysqld changed it'}`,
      )
    }
    for (const [name, value] of different) {
      await setGlobal(connection, name, value).catch((error: unknown) => refusals.set(name, messageOf(error)))
    }
  }
}

interface WantedReadOnly {
  readonly readOnly: string | undefined
  readonly superReadOnly: string | undefined
}

const READ_ONLY: WantedReadOnly = { readOnly: 'ON', superReadOnly: 'ON' }

/** Writes nothing that is so already: the server may be made the primary at any moment, and that must not be undone. */
async function applyReadOnly(
  connection: MysqlConnection,
  { readOnly = 'OFF', superReadOnly = 'OFF' }: WantedReadOnly,
  writeMode: Exclude<WriteMode, 'as now'>,
): Promise<string[]> {
  const present = await readGlobals(connection, ['read_only', 'super_read_only'])
  const closes = readOnly === 'ON' && present.get('read_only') === 'OFF'
  // Asked last: who makes a server the primary takes its source away before letting writes in.
  if (closes && writeMode === 'as captured' && (await readReplication(connection)) === undefined) return [PROMOTED]
  // Each implies the other in one direction: super_read_only=ON sets read_only, read_only=OFF clears super_read_only.
  if (present.get('super_read_only') !== superReadOnly) await setGlobal(connection, 'super_read_only', superReadOnly)
  const implied = superReadOnly === 'ON'
  if (!implied && present.get('read_only') !== readOnly) await setGlobal(connection, 'read_only', readOnly)
  return []
}

const PROMOTED = 'read_only is OFF, not ON: it has become the primary, since it has no source any more'

async function liftGuard(connection: MysqlConnection, persisted: CapturedSettings['persisted']): Promise<void> {
  const present = asRecord(await readPersistedGuard(connection))
  for (const name of GUARD) {
    const before = persisted[name]
    if (before === present[name]) continue
    if (before === undefined) await connection.execute(`RESET PERSIST IF EXISTS ${name}`)
    else await connection.execute(`SET PERSIST_ONLY ${name} = ?`, [before])
  }
}

/** OFF leaves read_only as it is. */
export async function setSuperReadOnly(connection: MysqlConnection, on: boolean): Promise<void> {
  await setGlobal(connection, 'super_read_only', on ? 'ON' : 'OFF')
}
