import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { stopReplication } from './threads.ts'

/** Named as in SHOW REPLICA STATUS. performance_schema is no source: there an emptied filter shows the rules of another (9.7.4). */
export const replicationFiltersSchema = z.object({
  Replicate_Do_DB: z.string(),
  Replicate_Ignore_DB: z.string(),
  Replicate_Do_Table: z.string(),
  Replicate_Ignore_Table: z.string(),
  Replicate_Wild_Do_Table: z.string(),
  Replicate_Wild_Ignore_Table: z.string(),
  Replicate_Rewrite_DB: z.string(),
})
/** The seven filters of a replica, each as the server prints it. */
export type ReplicationFilters = z.infer<typeof replicationFiltersSchema>
type Filter = keyof ReplicationFilters
const FILTERS = replicationFiltersSchema.keyof().options

/**
 * Reads the filters of the default channel; undefined for a server without a source.
 * @throws Refused when a rule has a name in it (one with a comma or a dot) that the server prints ambiguously
 */
export async function readReplicationFilters(connection: MysqlConnection): Promise<ReplicationFilters | undefined> {
  const filters = await showFilters(connection)
  if (filters !== undefined) for (const filter of FILTERS) ruleSql(filter, filters[filter])
  return filters
}

async function showFilters(connection: MysqlConnection): Promise<ReplicationFilters | undefined> {
  const [filters] = await connection.query('SHOW REPLICA STATUS', replicationFiltersSchema)
  return filters
}

const STOP_LIMIT = 60_000 as Milliseconds

/**
 * Gives the replica these filters. Where it has others, replication is stopped for that, and not started again. A server without a source
 * gets them for the one that will be configured.
 */
export async function applyReplicationFilters(connection: MysqlConnection, wanted: ReplicationFilters): Promise<void> {
  const present = await showFilters(connection)
  const different = FILTERS.filter(
    (filter) => present === undefined || sorted(present[filter]) !== sorted(wanted[filter]),
  )
  if (different.length === 0) return
  await stopReplication(connection, { signal: new AbortController().signal, timeout: STOP_LIMIT })
  const rules = different.map((filter) => `${filter.toUpperCase()} = (${ruleSql(filter, wanted[filter])})`)
  await connection.execute(`CHANGE REPLICATION FILTER ${rules.join(', ')}`)
}

/** The server keeps rules in hash tables, so their order says nothing. */
function sorted(rules: string): string {
  return split(rules).sort().join()
}

function split(rules: string): string[] {
  return rules === '' ? [] : rules.split(/,(?![^(]*\))/)
}

/** The rules of one filter as CHANGE REPLICATION FILTER wants them. */
function ruleSql(filter: Filter, rules: string): string {
  return split(rules)
    .map((rule) => {
      switch (filter) {
        case 'Replicate_Do_DB':
        case 'Replicate_Ignore_DB':
          return name(rule)
        case 'Replicate_Do_Table':
        case 'Replicate_Ignore_Table':
          return parts(filter, rule, /^([^.]+)\.([^.]+)$/)
            .map(name)
            .join('.')
        case 'Replicate_Rewrite_DB':
          return `(${parts(filter, rule, /^\(([^,()]+),([^,()]+)\)$/)
            .map(name)
            .join()})`
        default:
          return pattern(parts(filter, rule, /^(.*\..*)$/)[0] ?? '')
      }
    })
    .join(', ')
}

function parts(filter: Filter, rule: string, form: RegExp): string[] {
  const match = form.exec(rule)
  if (match !== null) return match.slice(1)
  throw new TabletkeeperError(
    'Refused',
    `the replication filter ${filter} has a rule that cannot be read back: ${rule}`,
    {
      hint: 'Write the filter into my.cnf, where a restart of mysqld finds it, or replicate without it.',
    },
  )
}

function name(identifier: string): string {
  return `\`${identifier.replaceAll('`', '``')}\``
}

function pattern(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
