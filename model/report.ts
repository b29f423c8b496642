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
  /** As MANIFESTs hold it, `Ver 9.7.4 MySQL Community Server`: it tells Percona from MySQL. Null while mysqld is down. */
  readonly versionString: string | null
  readonly serving: boolean
  /** Why it serves or does not. */
  readonly reason: string
  /** What to do so that it serves; null where `reason` is all that there is to say. */
  readonly hint: string | null
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
    /** Why it is not this tablet's own: its data directory was copied or moved while a run held it. Null as a rule. */
    readonly foreign: string | null
  } | null
  /** Agents on other machines that take the tablet's tasks too, as they call themselves to Temporal: there should be none. */
  readonly agentsElsewhere: readonly string[]
  readonly primary: TabletAlias | null
  /** Transactions of this tablet that the primary lacks; null when it has them all or nobody could be asked. */
  readonly wouldLose: string | null
  readonly hazards: readonly Hazard[]
  readonly missingGrants: readonly string[]
  /** What the primary has executed, as a position; null when no primary was found. */
  readonly primaryPosition: string | null
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
