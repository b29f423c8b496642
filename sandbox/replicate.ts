import { TabletkeeperError } from '../model/errors.ts'
import type { SampleTablet } from './sample-tablet.ts'

const DEADLINE_SECONDS = 60

export interface ReplicationAccount {
  readonly user: string
  readonly password: string
}

/** Creates the account with which replicas read from `primary`; the statement replicates like any other. */
export async function createReplicationAccount(
  primary: Pick<SampleTablet, 'query'>,
  { user, password }: ReplicationAccount,
): Promise<void> {
  await primary.query('CREATE USER ? IDENTIFIED BY ?', [user, password])
  await primary.query('GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ?', [user])
}

/** Makes `replica` read-only and starts replication from `primary` by GTID. */
export async function replicateFrom(
  replica: SampleTablet,
  primary: SampleTablet,
  account: ReplicationAccount,
): Promise<void> {
  await replica.query('SET GLOBAL super_read_only = ON')
  await replica.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
     SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1`,
    [primary.port, account.user, account.password],
  )
  await replica.query('START REPLICA')
}

/**
 * Waits until `replica` has executed every transaction that `primary` has executed now.
 * @throws ReplicationFailed after a minute, with what the replica says
 */
export async function awaitReplicated(
  replica: Pick<SampleTablet, 'alias' | 'query'>,
  primary: Pick<SampleTablet, 'query'>,
): Promise<void> {
  const [executed] = await primary.query<{ gtids: string }>('SELECT @@global.gtid_executed AS gtids')
  const [row] = await replica.query<{ timedOut: number }>('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS timedOut', [
    executed?.gtids ?? '',
    DEADLINE_SECONDS,
  ])
  if (row?.timedOut === 0) return
  const [status] = await replica.query<{ Last_IO_Error: string; Last_SQL_Error: string }>('SHOW REPLICA STATUS')
  const reason = status?.Last_SQL_Error || status?.Last_IO_Error || 'no error is reported'
  throw new TabletkeeperError(
    'ReplicationFailed',
    `${replica.alias} has not caught up in ${DEADLINE_SECONDS} s: ${reason}`,
  )
}
