import { readFile } from 'node:fs/promises'
import type { TabletAlias } from '../../model/alias.ts'
import type { TabletConfig } from '../../model/config.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import type { ShardName } from '../../model/shard-name.ts'
import type { ReplicaType, TabletType } from '../../model/tablet-type.ts'
import type { Milliseconds } from '../../model/units.ts'
import { MysqlConnection } from '../../mysql/admin.ts'
import { awaitCaughtUp } from '../../mysql/catch-up.ts'
import { emptiness } from '../../mysql/data-directory.ts'
import { liftFirstStart } from '../../mysql/first-start.ts'
import { readServerLayout, type ServerLayout } from '../../mysql/my-cnf.ts'
import { Mysqld } from '../../mysql/process.ts'
import { readReplication } from '../../mysql/replication.ts'
import { pointReplication } from '../../mysql/replication-source.ts'
import { startReplication, stopReplication } from '../../mysql/replication-threads.ts'
import { readServerState } from '../../mysql/server-state.ts'
import { drainSessions } from '../../mysql/sessions.ts'
import { applySettings, type CapturedSettings } from '../../mysql/settings.ts'
import type { CatchUpOptions, PrimaryView, StartOptions, TabletDriver, TabletState } from '../driver.ts'
import { QUIET, START_LIMIT, stopCleanly } from './clean-stop.ts'
import { observePeer, type PeerView, primaryAmong, replicationPassword, serves } from './observe-shard.ts'

const CONNECT_TIMEOUT = 5_000 as Milliseconds

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
    const { host, port } = await this.primary()
    const { user } = this.config.mysql.replication
    const password = await replicationPassword(this.config)
    await using connection = await this.connect()
    await pointReplication(connection, { host, port, user, password }, 'whole', { signal })
    await liftFirstStart(connection, this.config.mysql, overridden)
  }

  async startReplication(signal: AbortSignal): Promise<void> {
    const { alias, host, port } = await this.primary()
    if (alias === this.alias) {
      throw new TabletkeeperError(
        'ReplicationFailed',
        `${alias} takes writes: it has become the primary of ${this.shard}`,
      )
    }
    await using connection = await this.connect()
    const present = await readReplication(connection)
    if (present?.sourceHost !== host || present.sourcePort !== port) {
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

  async stopMysqld(signal: AbortSignal): Promise<{ readonly lsn: bigint }> {
    return await stopCleanly(await this.#mysqld(), await this.layout(), () => this.connect(), signal)
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
    const isPrimary = !readOnly && (await readReplication(connection)) === undefined
    const variables = isPrimary
      ? { ...captured.variables, read_only: 'OFF', super_read_only: 'OFF' }
      : captured.variables
    return await applySettings(connection, { ...captured, variables })
  }

  async primary(): Promise<PrimaryView> {
    return primaryAmong(this.shard, [await this.#self(), ...(await this.#observePeers())])
  }

  async othersServing(): Promise<readonly TabletAlias[]> {
    return (await this.#observePeers()).filter(serves).map((view) => view.alias)
  }

  async #observePeers(): Promise<readonly PeerView[]> {
    const password = await replicationPassword(this.config)
    return await Promise.all(this.#peers.map((peer) => observePeer(peer, password)))
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
