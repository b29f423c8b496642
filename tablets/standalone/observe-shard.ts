import { readFile } from 'node:fs/promises'
import type { TabletAlias } from '../../model/alias.ts'
import type { TabletConfig } from '../../model/config.ts'
import { isError, messageOf, TabletkeeperError } from '../../model/errors.ts'
import type { Milliseconds } from '../../model/units.ts'
import { MysqlConnection } from '../../mysql/admin/admin.ts'
import { readServerState, type ServerState } from '../../mysql/admin/server-state.ts'
import { type ReplicationState, readReplication } from '../../mysql/replication/replication.ts'
import type { PrimaryView } from '../driver.ts'

/** For all that is asked of a peer: one that hangs must not keep the others from being judged. */
const PEER_TIMEOUT = 3_000 as Milliseconds

/** One tablet of the shard as its peers see it over the network. */
export type PeerView =
  | { readonly alias: TabletAlias; readonly reachable: false; readonly why: string }
  | {
      readonly alias: TabletAlias
      readonly reachable: true
      readonly config: TabletConfig
      readonly server: ServerState
      /** Undefined when the server has no source, or when the replication account may not see it (REPLICATION CLIENT). */
      readonly replication: ReplicationState | undefined
    }

/** The password of the account that tablets use to replicate, which is also how they look at each other. */
export async function replicationPassword(config: TabletConfig): Promise<string> {
  const path = config.mysql.replication.passwordFile
  try {
    return (await readFile(path, 'utf8')).trimEnd()
  } catch (cause) {
    throw new TabletkeeperError(
      'InvalidConfig',
      `the replication password file ${path} cannot be read: ${messageOf(cause)}`,
      {
        cause,
        hint: 'mysql.replication.passwordFile names a file on every host of the shard, readable by the agent.',
      },
    )
  }
}

/** A session of the replication account on a tablet of the shard, which is over after 3 s by default. The caller closes it. */
export async function connectPeer(
  { host, port }: { readonly host: string; readonly port: number },
  user: string,
  password: string,
  within: Milliseconds = PEER_TIMEOUT,
): Promise<MysqlConnection> {
  return await MysqlConnection.connect({ host, port }, { user, password }, { timeout: PEER_TIMEOUT, within })
}

/** Looks at one tablet, for 3 s by default, with the replication account, which needs no privilege for it beyond REPLICATION CLIENT. */
export async function observePeer(config: TabletConfig, password: string, within?: Milliseconds): Promise<PeerView> {
  try {
    await using connection = await connectPeer(config, config.mysql.replication.user, password, within)
    const server = await readServerState(connection)
    const replication = await readReplication(connection).catch((error: unknown) => {
      if (isError(error, 'Refused')) return undefined
      throw error
    })
    return { alias: config.alias, reachable: true, config, server, replication }
  } catch (error) {
    return { alias: config.alias, reachable: false, why: messageOf(error) }
  }
}

/**
 * The tablet that takes writes and has no source, among what was observed.
 * @throws ReplicationFailed when there is none, or more than one
 */
export function primaryAmong(shard: string, views: readonly PeerView[]): PrimaryView {
  const writable = views.filter(takesWrites)
  const [first, second] = writable
  if (first?.reachable !== true) {
    const seen = views
      .map((view) => `${view.alias}: ${view.reachable ? 'read-only or replicating' : view.why}`)
      .join('; ')
    throw new TabletkeeperError('ReplicationFailed', `no tablet of ${shard} takes writes (${seen})`, {
      hint: 'Is the primary down, or missing in the configuration?',
    })
  }
  if (second !== undefined) {
    throw new TabletkeeperError(
      'ReplicationFailed',
      `${writable.map((view) => view.alias).join(' and ')} of ${shard} all take writes`,
      {
        hint: 'Set read_only on all but the primary.',
      },
    )
  }
  return { alias: first.alias, host: first.config.host, port: first.config.port, server: first.server }
}

/** Whether a tablet acts as the primary. */
export function takesWrites(view: PeerView): boolean {
  return view.reachable && !view.server.readOnly && view.replication === undefined
}

/** Whether a peer would go on serving: it takes writes, or replicates without an error. */
export function serves(view: PeerView): boolean {
  if (!view.reachable) return false
  if (view.replication === undefined) return true
  return view.replication.ioRunning === 'Yes' && view.replication.sqlRunning === 'Yes'
}
