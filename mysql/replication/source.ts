import { TabletkeeperError } from '../../model/errors.ts'
import type { GtidSet } from '../../model/gtid-set.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { Secret } from '../admin/secret.ts'
import { readServerState } from '../admin/server-state.ts'
import { stopReplication } from './threads.ts'

export interface SourceAddress {
  readonly host: string
  readonly port: number
}

export interface SourceAccount extends SourceAddress {
  readonly user: string
  readonly password: string
}

interface Abortable {
  readonly signal: AbortSignal
}

/** The limit of SOURCE_PASSWORD. */
const LONGEST_PASSWORD = 32
/** Ten days of attempts: 9.x gives up after ten by default, so that an outage of the primary would stop its replicas for good. */
const RETRIES = 'SOURCE_CONNECT_RETRY = 10, SOURCE_RETRY_COUNT = 86400'

export async function pointReplication(
  connection: MysqlConnection,
  source: SourceAddress,
  what: 'address only',
  options: Abortable,
): Promise<void>
export async function pointReplication(
  connection: MysqlConnection,
  source: SourceAccount,
  what: 'whole',
  options: Abortable,
): Promise<void>
/**
 * Says where to replicate from. Replication is stopped before, if it runs, and not started.
 * 'address only' keeps the account and all else that is configured; 'whole' configures it anew, by GTID.
 * @throws InvalidConfig when the password is longer than MySQL takes
 * @throws ReplicationFailed when replication does not stop
 */
export async function pointReplication(
  connection: MysqlConnection,
  source: SourceAddress | SourceAccount,
  what: 'address only' | 'whole',
  { signal }: Abortable,
): Promise<void> {
  if ('password' in source && source.password.length > LONGEST_PASSWORD) {
    throw new TabletkeeperError(
      'InvalidConfig',
      `the password of '${source.user}' has more than ${LONGEST_PASSWORD} characters`,
      {
        hint: 'MySQL replicates with shorter ones only: ALTER USER on the primary, then change the password file.',
      },
    )
  }
  await stopReplication(connection, { signal })
  const address = [source.host, source.port]
  if (what === 'address only' || !('password' in source)) {
    await connection.execute('CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?', address)
    return
  }
  await connection.execute(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1,
      GET_SOURCE_PUBLIC_KEY = 1, ${RETRIES}`,
    [...address, source.user, new Secret(source.password)],
  )
}

/**
 * Makes restored data forget the replication and the binary logs that they were copied with, and stand at `position`. Works read-only.
 * Idempotent until replication has run: from then on it would make the server fetch again what it has.
 * @throws FenceBroken when the data do not stand at `position`; nothing is changed then
 */
export async function resetForRestore(connection: MysqlConnection, position: GtidSet): Promise<void> {
  const { gtidExecuted, version } = await readServerState(connection)
  if (!gtidExecuted.isEmpty && !gtidExecuted.equals(position)) {
    throw new TabletkeeperError(
      'FenceBroken',
      `${connection.server} stands at '${gtidExecuted}' and not at the backup's position '${position}': its history is not reset`,
      { hint: 'Either these are not the data of that backup, or replication has run on them: restore it again.' },
    )
  }
  await connection.execute('RESET REPLICA ALL')
  await connection.execute(isBefore(version, 8, 2) ? 'RESET MASTER' : 'RESET BINARY LOGS AND GTIDS')
  await connection.execute('SET GLOBAL gtid_purged = ?', [position.toString()])
}

function isBefore(version: string, major: number, minor: number): boolean {
  const [actualMajor = 0, actualMinor = 0] = version.split('.').map(Number)
  return actualMajor < major || (actualMajor === major && actualMinor < minor)
}
