import type { TabletAlias } from '../model/alias.ts'
import type { TabletConfig } from '../model/config.ts'
import type { GtidSet } from '../model/gtid-set.ts'
import type { ShardName } from '../model/shard-name.ts'
import type { TabletType } from '../model/tablet-type.ts'
import type { Milliseconds } from '../model/units.ts'
import type { MysqlConnection } from '../mysql/admin/admin.ts'
import type { ServerState } from '../mysql/admin/server-state.ts'
import type { ReplicationState } from '../mysql/replication/replication.ts'
import type { SemiSync } from '../mysql/replication/semi-sync.ts'
import type { ServerLayout } from '../mysql/settings/my-cnf.ts'
import type { CapturedSettings } from '../mysql/settings/settings.ts'

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
  /** The service that runs mysqld now, where it runs and that is none that this driver stops and starts. */
  foreignUnit(): Promise<string | undefined>
  /** Tells the routing layer. Health endpoints answer by the lease already; Vitess is told here. */
  setType(type: TabletType): Promise<void>
  /** A connection for administration. The caller closes it. @throws MysqldFailed when mysqld does not answer */
  connect(): Promise<MysqlConnection>

  /** Gives client sessions `timeout` to leave, then ends those that stay. */
  drain(timeout: Milliseconds, signal: AbortSignal): Promise<{ readonly killed: number }>
  stopReplication(signal: AbortSignal): Promise<void>
  /**
   * Gives restored data, which know no source or another's, the present primary as theirs, and lets them forget how they were started. A
   * tablet that was made the primary meanwhile gets no source.
   * @param overridden what the host had persisted itself of that (`prepareStaged`)
   */
  configureReplication(overridden: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>
  /**
   * Replicates from the present primary: moves the source when it changed, then starts both threads and sees them run.
   * @throws ReplicationFailed also when this tablet is the primary; not worth another try where the new primary lacks what this tablet has,
   *   which stays where it is, or where only a person can repair what replication meets
   */
  startReplication(signal: AbortSignal): Promise<void>
  /** Waits until at most `maxLag` behind the primary; after `timeout` says how far behind it still is. */
  catchUp(options: CatchUpOptions): Promise<{ readonly caughtUp: boolean; readonly lagSeconds: number }>

  /** Makes sure that whoever starts mysqld next gets it read-only and not replicating; then stops it, cleanly and proven. */
  stopMysqld(signal: AbortSignal): Promise<{ readonly lsn: bigint }>
  /** Ends a mysqld on data that nobody needs, where it may let nobody in. It is told by SIGTERM or its service, and not killed. */
  endMysqld(signal: AbortSignal): Promise<void>
  /**
   * Starts mysqld, read-only and not replicating, and resolves when it answers.
   * @throws Refused when it runs and does not let the agent in
   */
  startMysqld(options: StartOptions): Promise<void>
  /**
   * Gives back to a running mysqld the settings that were captured before its restart, and lifts the guard of `stopMysqld`. A tablet that
   * became the primary in the meantime stays writable; one that was it stays read-only when another takes writes now.
   * @returns a sentence for each that could not be given back
   */
  applySettings(captured: CapturedSettings): Promise<readonly string[]>

  /** @throws ReplicationFailed when no tablet of the shard takes writes, or several do */
  primary(): Promise<PrimaryView>
  /** What the commits of the present primary wait for; undefined where they wait for nobody. @throws ReplicationFailed as `primary` */
  primarySemiSync(): Promise<SemiSync | undefined>
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
