import type { TabletAlias } from './alias.ts'
import type { RunKind } from './runs.ts'
import type { ShardName } from './shard-name.ts'
import type { TabletType } from './tablet-type.ts'

/** What an agent sees of its tablet at one moment: what `status`, `check` and the plan of a restore are made of. */
export interface TabletReport {
  readonly alias: TabletAlias
  readonly shard: ShardName
  readonly host: string
  readonly type: TabletType
  readonly mysqld: 'up' | 'down' | 'empty'
  /** `9.7.4`; null while mysqld is down. */
  readonly version: string | null
  readonly serving: boolean
  /** Why it serves or does not. */
  readonly reason: string
  readonly lagSeconds: number | null
  /** `MySQL56/<gtid set>`; null while mysqld is down. */
  readonly position: string | null
  /** Bytes that a backup would read. */
  readonly dataBytes: number
  /** Bytes free where the data lie. */
  readonly freeBytes: number
  readonly replication: 'running' | 'stopped' | 'broken' | 'none'
  readonly lease: {
    readonly kind: RunKind
    readonly workflowId: string
    readonly runId: string
    readonly since: string
    readonly step: string | null
    readonly state: 'held' | 'returning'
  } | null
  readonly primary: TabletAlias | null
  /** Transactions of this tablet that the primary lacks; null when it has them all or nobody could be asked. */
  readonly wouldLose: string | null
  readonly hazards: readonly Hazard[]
  readonly missingGrants: readonly string[]
  /** The primary's `gtid_purged`, as a position; null when no primary was found. */
  readonly primaryPurged: string | null
  /** Seconds for which the primary keeps binary logs; 0 is for ever. */
  readonly binlogRetentionSeconds: number | null
}

/** Something about a server that stands against taking it out of service. */
export interface Hazard {
  readonly what: string
  readonly message: string
  readonly hint: string
}
