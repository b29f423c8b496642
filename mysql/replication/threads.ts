import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { messageOf, TabletkeeperError } from '../../model/errors.ts'
import { formatDuration, type Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { errnoOf } from '../admin/sql-errors.ts'
import { type ReplicationState, readReplication, readReplicationError } from './replication.ts'

export interface ThreadOptions {
  readonly signal: AbortSignal
  /** How long to try; each function says its default. */
  readonly timeout?: Milliseconds
}

/** How long one STOP REPLICA waits, instead of a year. As long may an abort take. */
const STOP_SECONDS = 5
const STOP_LIMIT = 600_000 as Milliseconds
/** ER_STOP_REPLICA_SQL_THREAD_TIMEOUT and ER_STOP_REPLICA_IO_THREAD_TIMEOUT: the thread stops when it can. */
const STOPS_LATER: ReadonlySet<number | undefined> = new Set([1875, 1876])
/** For the applier to meet the DROP of a temporary table. */
const TEMPORARY_TABLES_WAIT = 2_000

/**
 * Stops replication: resolves when both threads are seen not to run and no replicated temporary table is open. Workers finish their
 * transactions first; a STOP that timed out meanwhile still takes effect later, so it is repeated until it has (10 minutes at most).
 * @returns 'no source' for a server that does not replicate: nothing was done
 * @throws ReplicationFailed
 */
export async function stopReplication(
  connection: MysqlConnection,
  { signal, timeout = STOP_LIMIT }: ThreadOptions,
): Promise<'stopped' | 'no source'> {
  const deadline = performance.now() + timeout
  if ((await readReplication(connection)) === undefined) return 'no source'
  await connection.execute(`SET GLOBAL rpl_stop_replica_timeout = ${STOP_SECONDS}`)
  for (;;) {
    signal.throwIfAborted()
    await requestStop(connection)
    const obstacle = await obstacleToStop(connection)
    if (obstacle === undefined) return 'stopped'
    if (obstacle === OPEN_TABLES) await connection.execute('START REPLICA')
    if (performance.now() >= deadline) {
      throw new TabletkeeperError(
        'ReplicationFailed',
        `replication on ${connection.server} does not stop within ${formatDuration(timeout)}: ${obstacle}`,
        { hint: 'Look for what the applier waits for: SHOW PROCESSLIST, performance_schema.metadata_locks.' },
      )
    }
    if (obstacle === OPEN_TABLES) await delay(TEMPORARY_TABLES_WAIT, undefined, { signal })
  }
}

async function requestStop(connection: MysqlConnection): Promise<void> {
  try {
    await connection.execute('STOP REPLICA')
  } catch (error) {
    if (!STOPS_LATER.has(errnoOf(error))) throw error
  }
}

const OPEN_TABLES = 'replicated temporary tables are open, and a stop of mysqld would lose them'

async function obstacleToStop(connection: MysqlConnection): Promise<string | undefined> {
  const state = await readReplication(connection)
  if (state !== undefined && (state.ioRunning !== 'No' || state.sqlRunning !== 'No')) {
    return `its threads still run (IO ${state.ioRunning}, SQL ${state.sqlRunning}), since a transaction is being applied`
  }
  const status = await connection.one(
    "SHOW GLOBAL STATUS LIKE 'Replica_open_temp_tables'",
    z.object({ Value: z.coerce.number() }),
  )
  return status.Value === 0 ? undefined : OPEN_TABLES
}

const START_LIMIT = 120_000 as Milliseconds
const POLL = 250
/** Ten milliseconds after a START both threads say Yes, whatever they meet next. */
const STEADY = 2_000
/** By itself a thread waits up to SOURCE_CONNECT_RETRY, a minute by default, before it connects again. */
const RECONNECT = 5_000
const RETRY = 1_000
/** The source no longer has the transactions (1236, 13114), or is this very server or its double (1593, 13117). */
const HOPELESS: ReadonlySet<number> = new Set([1236, 1593, 13114, 13117])
/** An error of the applier comes again with the same transaction, unless it was a passing one (a lock, a deadlock). */
const APPLY_ATTEMPTS = 3

/**
 * Starts replication: resolves when both threads have been seen to run for 2 s. What may pass by itself (the source is down, or does not
 * let us in) is tried again until `timeout` (2 minutes by default); what does not pass fails at once.
 * @returns 'no source' for a server that has none configured: nothing was done
 * @throws ReplicationFailed with the server's own error; not worth another try where only a person can repair it
 */
export async function startReplication(
  connection: MysqlConnection,
  { signal, timeout = START_LIMIT }: ThreadOptions,
): Promise<'running' | 'no source'> {
  const deadline = performance.now() + timeout
  let present = await readReplication(connection)
  let applyErrors = 0
  while (present !== undefined) {
    if (!runs(present)) await requestStart(connection, present)
    present = await settled(connection, signal)
    if (present === undefined || runs(present)) break
    if (present.sqlRunning === 'No' && present.lastSqlErrno !== 0) applyErrors += 1
    const hopeless = present.ioRunning === 'No' && HOPELESS.has(present.lastIoErrno)
    if (hopeless) throw await doesNotRun(connection, present, 'hopeless')
    if (applyErrors >= APPLY_ATTEMPTS) throw await doesNotRun(connection, present, 'applier')
    if (performance.now() >= deadline) throw await doesNotRun(connection, present, 'perhaps later')
    await delay(RETRY, undefined, { signal })
  }
  return present === undefined ? 'no source' : 'running'
}

function runs(state: ReplicationState): boolean {
  return state.ioRunning === 'Yes' && state.sqlRunning === 'Yes'
}

/** Watches until both threads have run for `STEADY`, one has stopped, or the connecting takes longer than `RECONNECT`. */
async function settled(connection: MysqlConnection, signal: AbortSignal): Promise<ReplicationState | undefined> {
  const began = performance.now()
  let steadySince: number | undefined
  for (;;) {
    signal.throwIfAborted()
    const state = await readReplication(connection)
    if (state === undefined || state.ioRunning === 'No' || state.sqlRunning === 'No') return state
    if (runs(state)) {
      steadySince ??= performance.now()
      if (performance.now() - steadySince >= STEADY) return state
    } else {
      steadySince = undefined
      if (performance.now() - began >= RECONNECT) return state
    }
    await delay(POLL, undefined, { signal })
  }
}

async function requestStart(connection: MysqlConnection, state: ReplicationState): Promise<void> {
  try {
    if (state.ioRunning === 'Connecting') await connection.execute('STOP REPLICA IO_THREAD')
    await connection.execute('START REPLICA')
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    throw new TabletkeeperError('ReplicationFailed', `replication does not start: ${messageOf(error)}`, {
      cause: error,
      hint: state.lastError === '' ? 'Look at the error log of the replica.' : state.lastError,
    })
  }
}

/** What to do about replication that does not run, by what can be expected of another try. */
export const HINTS = {
  hopeless: 'That source cannot serve this replica any more: restore a newer backup to it.',
  applier: 'Repair what the error names and START REPLICA, or restore a backup to it.',
  'perhaps later': 'Repair what the error names; replication is tried again.',
} as const

async function doesNotRun(
  connection: MysqlConnection,
  state: ReplicationState,
  outlook: keyof typeof HINTS,
): Promise<TabletkeeperError> {
  const source = `${state.sourceHost}:${state.sourcePort}`
  const threads = `IO ${state.ioRunning}, SQL ${state.sqlRunning}`
  return new TabletkeeperError(
    'ReplicationFailed',
    `replication on ${connection.server} from ${source} does not run (${threads}): ${(await readReplicationError(connection, state)) || 'no error is shown'}`,
    { hint: HINTS[outlook], retryable: outlook === 'perhaps later' },
  )
}
