import type { TabletAlias } from '../model/alias.ts'
import type { TabletConfig } from '../model/config.ts'
import type { GtidSet } from '../model/gtid-set.ts'
import type { ShardName } from '../model/shard-name.ts'
import type { TabletType } from '../model/tablet-type.ts'
import type { Milliseconds } from '../model/units.ts'
import type { MysqlConnection } from '../mysql/admin.ts'
import type { ServerLayout } from '../mysql/my-cnf.ts'
import type { ReplicationState } from '../mysql/replication.ts'
import type { ServerState } from '../mysql/server-state.ts'
import type { CapturedSettings } from '../mysql/settings.ts'

/** What a driver sees of its mysqld: nothing yet installed, not running, or running with what it says of itself. */
export type TabletState =
  | { readonly mysqld: 'empty' }
  | { readonly mysqld: 'down' }
  | { readonly mysqld: 'up'; readonly server: ServerState; readonly replication: ReplicationState | undefined }

export type RunningTablet = Extract<TabletState, { readonly mysqld: 'up' }>

/** The tablet of the shard that takes writes, as observed just now. */
export interface PrimaryView {
  readonly alias: TabletAlias
  readonly host: string
  readonly port: number
  readonly server: ServerState
}

export interface StartOptions {
  /** A file of statements for mysqld's `--init-file`. */
  readonly initFile?: string
  readonly signal: AbortSignal
}

/**
 * How a tablet is handled where it lives: on plain MySQL replication (`standalone/`), later by Vitess's own daemons.
 * Every call is idempotent: it observes, acts only if needed, and resolves when the observation confirms it.
 * A call that was aborted has stopped acting when it rejects.
 */
export interface TabletDriver {
  readonly alias: TabletAlias
  readonly shard: ShardName
  readonly config: TabletConfig

  /** Where this mysqld's files are, whether it runs or not. */
  layout(): Promise<ServerLayout>
  describe(): Promise<TabletState>
  /** The type that a tablet in this state has when no run holds it. */
  serviceType(state: TabletState): 'PRIMARY' | 'REPLICA' | 'RDONLY'
  /** Tells the routing layer. Health endpoints answer by the lease already; Vitess is told here. */
  setType(type: TabletType): Promise<void>
  /** A connection for administration. The caller closes it. @throws MysqldFailed when mysqld does not answer */
  connect(): Promise<MysqlConnection>

  /** Gives client sessions `timeout` to leave, then ends those that stay. */
  drain(timeout: Milliseconds, signal: AbortSignal): Promise<{ readonly killed: number }>
  stopReplication(signal: AbortSignal): Promise<void>
  /**
   * Gives restored data, which know no source or another's, the present primary as theirs, and lets them forget how they were started.
   * @param overridden what the host had persisted itself of that (`prepareStaged`)
   */
  configureReplication(overridden: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>
  /**
   * Replicates from the present primary: moves the source when it changed, then starts both threads and sees them run.
   * @throws ReplicationFailed also when this tablet is the primary
   */
  startReplication(signal: AbortSignal): Promise<void>
  /** Waits until at most `maxLag` behind the primary; after `timeout` says how far behind it still is. */
  catchUp(options: CatchUpOptions): Promise<{ readonly caughtUp: boolean; readonly lagSeconds: number }>

  /** Makes sure that whoever starts mysqld next gets it read-only and not replicating; then stops it, cleanly and proven. */
  stopMysqld(signal: AbortSignal): Promise<{ readonly lsn: bigint }>
  /** Starts mysqld, read-only and not replicating, and resolves when it answers. */
  startMysqld(options: StartOptions): Promise<void>
  /**
   * Gives back to a running mysqld the settings that were captured before its restart, and lifts the guard of `stopMysqld`. A tablet that
   * became the primary in the meantime stays writable.
   * @returns a sentence for each that could not be given back
   */
  applySettings(captured: CapturedSettings): Promise<readonly string[]>

  /** @throws ReplicationFailed when no tablet of the shard takes writes, or several do */
  primary(): Promise<PrimaryView>
  /** Other tablets of the shard that would go on serving without this one. */
  othersServing(): Promise<readonly TabletAlias[]>
}

export interface CatchUpOptions {
  readonly maxLag: Milliseconds
  readonly timeout: Milliseconds
  readonly signal: AbortSignal
  /** Called after each round with the primary's transactions that are still missing here. */
  readonly onRound?: (missing: GtidSet) => void
}
