import { z } from 'zod'
import type { MysqlConnection } from '../admin/admin.ts'

/** What the commits of a server wait for: that replicas acknowledge to have received them. */
export interface SemiSync {
  /** Replicas that are connected and acknowledge. */
  readonly acknowledging: number
  /** How many of them each commit waits for. */
  readonly needed: number
}

// Each thing has two names: of the plugins since 8.0.26, and of those before, which servers may still have loaded.
const REPLICA_STATUS = ['Rpl_semi_sync_replica_status', 'Rpl_semi_sync_slave_status']
const SOURCE_STATUS = ['Rpl_semi_sync_source_status', 'Rpl_semi_sync_master_status']
const CLIENTS = ['Rpl_semi_sync_source_clients', 'Rpl_semi_sync_master_clients']
const WAIT_FOR = ['rpl_semi_sync_source_wait_for_replica_count', 'rpl_semi_sync_master_wait_for_slave_count']
const TIMEOUT = ['rpl_semi_sync_source_timeout', 'rpl_semi_sync_master_timeout']
const WAIT_NO_REPLICA = ['rpl_semi_sync_source_wait_no_replica', 'rpl_semi_sync_master_wait_no_slave']
const REPLICA_ENABLED = ['rpl_semi_sync_replica_enabled', 'rpl_semi_sync_slave_enabled']

/** In milliseconds. A server whose commits wait for less goes on without acknowledgement, as whoever configured that wants it to. */
const LONG_WAIT = 60_000

/** Whether this server acknowledges the commits of its source at present. No privilege is needed. */
export async function acknowledgesCommits(connection: MysqlConnection): Promise<boolean> {
  return (await readShown(connection, 'STATUS', REPLICA_STATUS)) === 'ON'
}

/** Whether this server acknowledges commits whenever it replicates. No privilege is needed. */
export async function isSemiSyncReplica(connection: MysqlConnection): Promise<boolean> {
  return (await readShown(connection, 'VARIABLES', REPLICA_ENABLED)) === 'ON'
}

/** What this server's commits wait for, for more than a minute; undefined where they do not. No privilege is needed. */
export async function readSemiSync(connection: MysqlConnection): Promise<SemiSync | undefined> {
  if ((await readShown(connection, 'STATUS', SOURCE_STATUS)) !== 'ON') return undefined
  if ((await readShown(connection, 'VARIABLES', WAIT_NO_REPLICA)) === 'OFF') return undefined
  if (Number(await readShown(connection, 'VARIABLES', TIMEOUT)) <= LONG_WAIT) return undefined
  return {
    acknowledging: Number(await readShown(connection, 'STATUS', CLIENTS)),
    needed: Number(await readShown(connection, 'VARIABLES', WAIT_FOR)),
  }
}

/** performance_schema has both, too, for who may read it: the account that replicates may not. */
async function readShown(
  connection: MysqlConnection,
  what: 'STATUS' | 'VARIABLES',
  names: readonly string[],
): Promise<string | undefined> {
  const [shown] = await connection.query(
    `SHOW GLOBAL ${what} WHERE Variable_name IN (${names.map(() => '?').join()})`,
    z.object({ Value: z.string() }),
    names,
  )
  return shown?.Value
}
