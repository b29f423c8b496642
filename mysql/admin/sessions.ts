import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from './admin.ts'
import { errnoOf } from './sql-errors.ts'

const POLL = 200
const KILL_LIMIT = 5_000
/** ER_NO_SUCH_THREAD: it left just before. ER_KILL_DENIED_ERROR: it has SYSTEM_USER, and ends with mysqld. */
const NOT_KILLED: ReadonlySet<number | undefined> = new Set([1094, 1095])

/**
 * Waits until no client session is left but those of our own account, or `timeout` has passed; then ends those that stay.
 * Sessions of mysqld itself, of replication and of readers of the binary log are no clients.
 * @returns how many left by themselves, and how many were ended
 */
export async function drainSessions(
  connection: MysqlConnection,
  timeout: Milliseconds,
  signal: AbortSignal,
): Promise<{ readonly left: number; readonly killed: number }> {
  const seen = new Set<number>()
  const remaining = await awaitNoClients(connection, timeout, signal, seen)
  const left = seen.size - remaining.length
  const killed: number[] = []
  for (const id of remaining) if (await kill(connection, id)) killed.push(id)
  if (killed.length > 0) await awaitNoClients(connection, KILL_LIMIT, signal, seen)
  return { left, killed: killed.length }
}

async function awaitNoClients(
  connection: MysqlConnection,
  timeout: number,
  signal: AbortSignal,
  seen: Set<number>,
): Promise<readonly number[]> {
  const deadline = performance.now() + timeout
  for (;;) {
    signal.throwIfAborted()
    const clients = await clientSessions(connection)
    for (const id of clients) seen.add(id)
    if (clients.length === 0 || performance.now() >= deadline) return clients
    await delay(POLL, undefined, { signal })
  }
}

async function clientSessions(connection: MysqlConnection): Promise<readonly number[]> {
  const sessions = await connection.query(
    `SELECT id FROM performance_schema.processlist
      WHERE user NOT IN ('system user', 'event_scheduler', 'unauthenticated user', SUBSTRING_INDEX(USER(), '@', 1))
        AND command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID')`,
    z.object({ id: z.coerce.number() }),
  )
  return sessions.map(({ id }) => id)
}

async function kill(connection: MysqlConnection, id: number): Promise<boolean> {
  try {
    await connection.execute('KILL ?', [id])
    return true
  } catch (error) {
    if (NOT_KILLED.has(errnoOf(error))) return false
    throw error
  }
}
