import { z } from 'zod'
import { GtidSet } from '../../model/gtid-set.ts'
import type { MysqlConnection } from './admin.ts'

/** What a running mysqld says of itself. */
export interface ServerState {
  readonly serverUuid: string
  readonly serverId: number
  /** `9.7.4` */
  readonly version: string
  /** `Ver 9.7.4-2 (Debian)`: as Vitess writes it into a MANIFEST. */
  readonly versionString: string
  readonly readOnly: boolean
  readonly superReadOnly: boolean
  readonly gtidExecuted: GtidSet
  readonly gtidPurged: GtidSet
  readonly gtidMode: string
  /** How long binary logs are kept at least; 0: until somebody removes them. */
  readonly binlogRetentionSeconds: number
  readonly logBin: boolean
}

const flag = z.coerce.number().transform((value) => value === 1)
const stateSchema = z.object({
  serverUuid: z.string(),
  serverId: z.coerce.number(),
  fullVersion: z.string(),
  comment: z.string(),
  readOnly: flag,
  superReadOnly: flag,
  gtidExecuted: z.string(),
  gtidPurged: z.string(),
  gtidMode: z.string(),
  expireSeconds: z.coerce.number(),
  logBin: flag,
})

/** Reads the state of the server. No privilege is needed. */
export async function readServerState(connection: MysqlConnection): Promise<ServerState> {
  const { fullVersion, comment, expireSeconds, gtidExecuted, gtidPurged, ...state } = await connection.one(
    `SELECT @@global.server_uuid AS serverUuid, @@global.server_id AS serverId, @@global.version AS fullVersion,
      @@global.version_comment AS comment, @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly,
      @@global.gtid_executed AS gtidExecuted, @@global.gtid_purged AS gtidPurged, @@global.gtid_mode AS gtidMode,
      @@global.binlog_expire_logs_seconds AS expireSeconds, @@global.log_bin AS logBin`,
    stateSchema,
  )
  // Since 8.0.29: OFF keeps the logs whatever the seconds say.
  const [purge] = await connection.query(
    "SHOW GLOBAL VARIABLES LIKE 'binlog_expire_logs_auto_purge'",
    z.object({ Value: z.string() }),
  )
  return {
    ...state,
    version: /^\d+\.\d+\.\d+/.exec(fullVersion)?.[0] ?? fullVersion,
    versionString: `Ver ${fullVersion} ${comment}`,
    gtidExecuted: GtidSet.parse(gtidExecuted),
    gtidPurged: GtidSet.parse(gtidPurged),
    binlogRetentionSeconds: purge?.Value === 'OFF' ? 0 : expireSeconds,
  }
}

/** The transactions that the server has executed; no privilege is needed. */
export async function readExecuted(connection: MysqlConnection): Promise<GtidSet> {
  const { executed } = await connection.one(
    'SELECT @@global.gtid_executed AS executed',
    z.object({ executed: z.string() }),
  )
  return GtidSet.parse(executed)
}

/** How many servers and other readers of binary logs are connected. Needs PROCESS: without it the answer is 0. */
export async function connectedReplicas(connection: MysqlConnection): Promise<number> {
  const { replicas } = await connection.one(
    "SELECT COUNT(*) AS replicas FROM performance_schema.processlist WHERE command IN ('Binlog Dump', 'Binlog Dump GTID')",
    z.object({ replicas: z.coerce.number() }),
  )
  return replicas
}

/**
 * The transactions of a replica that its primary does not have: never of the shard, so such a replica is not to be trusted or kept.
 * Read the replica's first: what it executed meanwhile, the primary had before.
 */
export function errantTransactions(replicaExecuted: GtidSet, primaryExecuted: GtidSet): GtidSet {
  return replicaExecuted.subtract(primaryExecuted)
}
