import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { TabletAlias } from '../../model/alias.ts'
import type { TabletConfig } from '../../model/config.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import type { GtidSet } from '../../model/gtid-set.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ReplicaType, TabletType } from '../../model/tablet-type.ts'
import type { Milliseconds } from '../../model/units.ts'
import { MysqlConnection } from '../../mysql/admin/admin.ts'
import { errantTransactions, readServerState } from '../../mysql/admin/server-state.ts'
import { drainSessions } from '../../mysql/admin/sessions.ts'
import { emptiness } from '../../mysql/data/data-directory.ts'
import { liftFirstStart } from '../../mysql/process/first-start.ts'
import { Mysqld } from '../../mysql/process/process.ts'
import { awaitCaughtUp } from '../../mysql/replication/catch-up.ts'
import { readReplication } from '../../mysql/replication/replication.ts'
import { readSemiSync, type SemiSync } from '../../mysql/replication/semi-sync.ts'
import { pointReplication } from '../../mysql/replication/source.ts'
import { startReplication, stopReplication } from '../../mysql/replication/threads.ts'
import { readServerLayout, type ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { applySettings, type CapturedSettings, changedByUs } from '../../mysql/settings/settings.ts'
import type { CatchUpOptions, PrimaryView, StartOptions, TabletDriver, TabletState } from '../driver.ts'
import { QUIET, START_LIMIT, STOP_LIMIT, stopCleanly } from './clean-stop.ts'
import {
  connectPeer,
  observePeer,
  type PeerView,
  primaryAmong,
  replicationPassword,
  serves,
  takesWrites,
} from './observe-shard.ts'

const CONNECT_TIMEOUT = 5_000 as Milliseconds
/** How often, and in which distance, other tablets are looked at before it counts that one does not answer. */
const LOOKS = 3
const SUCCESSOR_TIMEOUT = 20_000 as Milliseconds
const LOOK_AGAIN_AFTER = 2_000

/** A tablet on plain MySQL replication: the agent itself, systemd or configured commands run mysqld; nobody stores its type. */
export class StandaloneDriver implements TabletDriver {
  readonly config: TabletConfig
  readonly #peers: readonly TabletConfig[]
  readonly #type: () => ReplicaType
  #layout: Promise<ServerLayout> | undefined

  /** @param peers the other tablets of the shard  @param type what the tablet is for while it replicates */
  constructor(config: TabletConfig, peers: readonly TabletConfig[], type: () => ReplicaType) {
    this.config = config
    this.#peers = peers
    this.#type = type
  }

  get alias(): TabletAlias {
    return this.config.alias
  }

  get shard(): ShardName {
    return this.config.shard
  }

  layout(): Promise<ServerLayout> {
    this.#layout ??= readServerLayout(this.config.mysql.mysqld, this.config.mysql.defaultsFile).catch(
      (error: unknown) => {
        this.#layout = undefined
        throw error
      },
    )
    return this.#layout
  }

  async describe(): Promise<TabletState> {
    const layout = await this.layout()
    if ((await emptiness(layout)) === 'empty') return { mysqld: 'empty' }
    if (!(await (await this.#mysqld()).isRunning())) return { mysqld: 'down' }
    await using connection = await this.connect()
    return { mysqld: 'up', server: await readServerState(connection), replication: await readReplication(connection) }
  }

  serviceType(state: TabletState): 'PRIMARY' | 'REPLICA' | 'RDONLY' {
    if (state.mysqld === 'up' && !state.server.readOnly && state.replication === undefined) return 'PRIMARY'
    return this.#type()
  }

  /** Nothing stores a type: the lease says BACKUP and RESTORE, the health endpoint answers by it. */
  async setType(_type: TabletType): Promise<void> {}

  async connect(): Promise<MysqlConnection> {
    const { admin } = this.config.mysql
    const layout = await this.layout()
    const password =
      admin.passwordFile === undefined ? undefined : (await readFile(admin.passwordFile, 'utf8')).trimEnd()
    return await MysqlConnection.connect(
      { socketPath: layout.socket },
      { user: admin.user, ...(password === undefined ? {} : { password }) },
      { timeout: CONNECT_TIMEOUT },
    )
  }

  async drain(timeout: Milliseconds, signal: AbortSignal): Promise<{ readonly killed: number }> {
    await using connection = await this.connect()
    return await drainSessions(connection, timeout, signal)
  }

  async stopReplication(signal: AbortSignal): Promise<void> {
    await using connection = await this.connect()
    await stopReplication(connection, { signal })
  }

  async configureReplication(overridden: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    const { alias, host, port } = await this.primary()
    const { user } = this.config.mysql.replication
    const password = await replicationPassword(this.config)
    await using connection = await this.connect()
    if (alias !== this.alias) await pointReplication(connection, { host, port, user, password }, 'whole', { signal })
    await liftFirstStart(connection, this.config.mysql, overridden)
  }

  async startReplication(signal: AbortSignal): Promise<void> {
    await using connection = await this.connect()
    // Before the primary is asked: what this tablet has executed by now, the primary has too, unless a failover lost it.
    const { gtidExecuted } = await readServerState(connection)
    const { alias, host, port, server } = await this.primary()
    if (alias === this.alias) {
      throw new TabletkeeperError(
        'ReplicationFailed',
        `${alias} takes writes: it has become the primary of ${this.shard}`,
      )
    }
    const present = await readReplication(connection)
    if (present?.sourceHost !== host || present.sourcePort !== port) {
      const errant = errantTransactions(gtidExecuted, server.gtidExecuted)
      if (!errant.isEmpty) throw diverged(this.alias, alias, errant)
      await pointReplication(connection, { host, port }, 'address only', { signal })
    }
    await startReplication(connection, { signal })
  }

  async catchUp(options: CatchUpOptions): Promise<{ readonly caughtUp: boolean; readonly lagSeconds: number }> {
    await using connection = await this.connect()
    return await awaitCaughtUp({
      replica: connection,
      primaryExecuted: async () => (await this.primary()).server.gtidExecuted,
      ...options,
    })
  }

  async foreignUnit(): Promise<string | undefined> {
    return this.config.mysql.service.kind === 'own' ? await (await this.#mysqld()).foreignUnit() : undefined
  }

  async stopMysqld(signal: AbortSignal): Promise<{ readonly lsn: bigint }> {
    return await stopCleanly(await this.#mysqld(), await this.layout(), () => this.connect(), signal)
  }

  async endMysqld(signal: AbortSignal): Promise<void> {
    await (await this.#mysqld()).stop(undefined, { signal, timeout: STOP_LIMIT })
  }

  async startMysqld(options: StartOptions): Promise<void> {
    const mysqld = await this.#mysqld()
    await mysqld.start({
      extraArguments:
        options.initFile === undefined ? QUIET : [...QUIET, '--event-scheduler=OFF', `--init-file=${options.initFile}`],
      signal: options.signal,
      timeout: START_LIMIT,
    })
    await using _answers = await this.connect()
  }

  async applySettings(captured: CapturedSettings): Promise<readonly string[]> {
    await using connection = await this.connect()
    const { readOnly } = await readServerState(connection)
    if (!readOnly && (await readReplication(connection)) === undefined) {
      // What else a replica was set to, whoever promoted it may have changed on purpose: durability, semi-synchronous replication.
      const ours = captured.variables['read_only'] === 'OFF' ? captured : changedByUs(captured)
      return await applySettings(connection, ours, 'as now')
    }
    const successor = captured.variables['read_only'] === 'OFF' ? await this.#successor() : undefined
    if (successor === undefined) return await applySettings(connection, captured)
    const lost = await applySettings(connection, captured, 'read-only')
    return [
      `it stays read-only, also after a restart: ${successor} takes the writes of ${this.shard} now (RESET PERSIST super_read_only, once that is settled)`,
      ...lost,
    ]
  }

  async primary(): Promise<PrimaryView> {
    return primaryAmong(this.shard, [await this.#self(), ...(await this.#observePeers())])
  }

  async primarySemiSync(): Promise<SemiSync | undefined> {
    const primary = await this.primary()
    const { user } = this.config.mysql.replication
    await using connection = await connectPeer(primary, user, await replicationPassword(this.config))
    return await readSemiSync(connection)
  }

  async othersServing(): Promise<readonly TabletAlias[]> {
    return (await this.#observePeers()).filter(serves).map((view) => view.alias)
  }

  /**
   * Another tablet that has become the primary while this one was held. One that does not answer may be it, and gets another chance or two;
   * no more, since a tablet that is dead for good must not keep the writes of its shard away.
   */
  async #successor(): Promise<TabletAlias | undefined> {
    for (let look = 1; ; look += 1) {
      // In no hurry: one that takes writes may be slow to say so, and two of them would be worse than a wait.
      const peers = await this.#observePeers(SUCCESSOR_TIMEOUT)
      const successor = peers.find(takesWrites)
      if (successor !== undefined || look === LOOKS || peers.every(({ reachable }) => reachable))
        return successor?.alias
      await delay(LOOK_AGAIN_AFTER)
    }
  }

  async #observePeers(within?: Milliseconds): Promise<readonly PeerView[]> {
    const password = await replicationPassword(this.config)
    return await Promise.all(this.#peers.map((peer) => observePeer(peer, password, within)))
  }

  async #self(): Promise<PeerView> {
    try {
      const state = await this.describe()
      if (state.mysqld === 'up') {
        const { server, replication } = state
        return { alias: this.alias, reachable: true, config: this.config, server, replication }
      }
      return { alias: this.alias, reachable: false, why: `mysqld is ${state.mysqld}` }
    } catch (error) {
      if (isError(error)) return { alias: this.alias, reachable: false, why: error.message }
      throw new TabletkeeperError('MysqldFailed', `${this.alias} cannot be observed`, { cause: error })
    }
  }

  async #mysqld(): Promise<Mysqld> {
    const { mysqld, defaultsFile, service } = this.config.mysql
    return new Mysqld({ mysqld, defaultsFile, layout: await this.layout(), service })
  }
}

/** Replication would run, and the two would differ for ever. */
function diverged(alias: TabletAlias, primary: TabletAlias, errant: GtidSet): TabletkeeperError {
  return new TabletkeeperError(
    'ReplicationFailed',
    `${alias} is not pointed at the new primary ${primary}, which lacks transactions that it has: ${errant}`,
    {
      retryable: false,
      hint: 'A failover left them behind. Save what they hold, then restore the tablet from a backup of before.',
    },
  )
}
