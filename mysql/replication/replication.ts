import { z } from 'zod'
import { GtidSet } from '../../model/gtid-set.ts'
import type { MysqlConnection } from '../admin/admin.ts'

/** What a replica says of its replication; of its first channel, when there are several. */
export interface ReplicationState {
  readonly channels: readonly string[]
  readonly sourceHost: string
  readonly sourcePort: number
  /** Empty: the credentials were given to START REPLICA alone, and a restart of mysqld forgets them. */
  readonly user: string
  readonly autoPosition: boolean
  readonly ioRunning: 'Yes' | 'No' | 'Connecting'
  readonly sqlRunning: 'Yes' | 'No'
  readonly lastIoErrno: number
  readonly lastSqlErrno: number
  /** Both threads' last errors, in the server's words; empty when there is none. */
  readonly lastError: string
  /** `Seconds_Behind_Source`: 0 just after a start, whatever the truth; null when a thread does not run. */
  readonly secondsBehind: number | null
  /** SOURCE_DELAY: how far behind the replica stays on purpose. */
  readonly delaySeconds: number
  /** Transactions received since the source was configured, executed or not. */
  readonly retrieved: GtidSet
}

const statusSchema = z.object({
  Channel_Name: z.string(),
  Source_Host: z.string(),
  Source_Port: z.coerce.number(),
  Source_User: z.string(),
  Auto_Position: z.coerce.number(),
  Replica_IO_Running: z.enum(['Yes', 'No', 'Connecting']),
  Replica_SQL_Running: z.enum(['Yes', 'No']),
  Last_IO_Errno: z.coerce.number(),
  Last_IO_Error: z.string(),
  Last_SQL_Errno: z.coerce.number(),
  Last_SQL_Error: z.string(),
  Seconds_Behind_Source: z.coerce.number().nullable(),
  SQL_Delay: z.coerce.number(),
  Retrieved_Gtid_Set: z.string(),
})

/** Reads the state of replication; undefined for a server without a source. Needs REPLICATION CLIENT. */
export async function readReplication(connection: MysqlConnection): Promise<ReplicationState | undefined> {
  const rows = await connection.query('SHOW REPLICA STATUS', statusSchema)
  const configured = rows.filter((row) => row.Source_Host !== '')
  const [row] = configured
  if (row === undefined) return undefined
  return {
    channels: configured.map((channel) => channel.Channel_Name),
    sourceHost: row.Source_Host,
    sourcePort: row.Source_Port,
    user: row.Source_User,
    autoPosition: row.Auto_Position === 1,
    ioRunning: row.Replica_IO_Running,
    sqlRunning: row.Replica_SQL_Running,
    lastIoErrno: row.Last_IO_Errno,
    lastSqlErrno: row.Last_SQL_Errno,
    lastError: describeErrors(row),
    secondsBehind: row.Seconds_Behind_Source,
    delaySeconds: row.SQL_Delay,
    retrieved: GtidSet.parse(row.Retrieved_Gtid_Set),
  }
}

function describeErrors(row: z.infer<typeof statusSchema>): string {
  return [
    row.Last_IO_Errno === 0 ? '' : `Last_IO_Error ${row.Last_IO_Errno}: ${row.Last_IO_Error}`,
    row.Last_SQL_Errno === 0 ? '' : `Last_SQL_Error ${row.Last_SQL_Errno}: ${row.Last_SQL_Error}`,
  ]
    .filter((text) => text !== '')
    .join('; ')
}

/**
 * Why the threads stopped, in the server's words; empty when it does not say. Of a worker's error `lastError` tells only that there is
 * one; the error itself needs SELECT on performance_schema.
 */
export async function readReplicationError(connection: MysqlConnection, state: ReplicationState): Promise<string> {
  if (state.lastSqlErrno === 0) return state.lastError
  const [worker] = await connection.query(
    `SELECT last_error_message AS message FROM performance_schema.replication_applier_status_by_worker
      WHERE last_error_number <> 0 ORDER BY last_error_timestamp LIMIT 1`,
    z.object({ message: z.string() }),
  )
  return worker === undefined ? state.lastError : `Last_SQL_Error ${state.lastSqlErrno}: ${worker.message}`
}
