import { setTimeout as delay } from 'node:timers/promises'
import { TabletkeeperError } from '../../model/errors.ts'
import type { GtidSet } from '../../model/gtid-set.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { readExecuted } from '../admin/server-state.ts'
import { type ReplicationState, readReplication, readReplicationError } from './replication.ts'
import { HINTS } from './threads.ts'

export interface CatchUp {
  readonly replica: MysqlConnection
  /** What the primary has executed, asked anew for each round. */
  readonly primaryExecuted: () => Promise<GtidSet>
  readonly maxLag: Milliseconds
  readonly timeout: Milliseconds
  readonly signal: AbortSignal
  /** Told about once a second, and at the end of each round, what of the primary's the replica still misses. */
  readonly onRound?: (missing: GtidSet) => void
}

const POLL = 200
const REPORT = 1_000
/** A STOP REPLICA from before that still waits for a worker takes effect right after that worker's commit. */
const CONFIRM = 500

/**
 * Waits until the replica is at most `maxLag` behind. Each round asks the primary what it has executed and waits until the replica has
 * all of that: the length of a round bounds the lag, with no clock but ours, and whatever `Seconds_Behind_Source` says.
 * @returns caughtUp false when `timeout` passed before; `lagSeconds` is what is known of the lag, then a lower bound
 * @throws ReplicationFailed, naming the server's error, when a replication thread stops meanwhile; not worth another try when that is the
 *   applier's
 */
export async function awaitCaughtUp(
  wait: CatchUp,
): Promise<{ readonly caughtUp: boolean; readonly lagSeconds: number }> {
  const deadline = performance.now() + wait.timeout
  for (;;) {
    const began = performance.now()
    const goal = await wait.primaryExecuted()
    const reached = await awaitExecuted(wait, goal, deadline)
    const lag = performance.now() - began
    if (!reached) {
      const behind = (await running(wait.replica)).secondsBehind ?? 0
      return { caughtUp: false, lagSeconds: Math.max(lag / 1000, behind) }
    }
    if (lag <= wait.maxLag) {
      await delay(CONFIRM, undefined, { signal: wait.signal })
      await running(wait.replica)
      return { caughtUp: true, lagSeconds: lag / 1000 }
    }
  }
}

async function awaitExecuted({ replica, signal, onRound }: CatchUp, goal: GtidSet, deadline: number): Promise<boolean> {
  let reportedAt = 0
  for (;;) {
    signal.throwIfAborted()
    const missing = goal.subtract(await readExecuted(replica))
    if (missing.isEmpty || performance.now() - reportedAt >= REPORT) {
      onRound?.(missing)
      reportedAt = performance.now()
    }
    await running(replica)
    if (missing.isEmpty) return true
    if (performance.now() >= deadline) return false
    await delay(POLL, undefined, { signal })
  }
}

async function running(replica: MysqlConnection): Promise<ReplicationState> {
  const state = await readReplication(replica)
  if (state !== undefined && state.ioRunning !== 'No' && state.sqlRunning !== 'No') return state
  const seen = state === undefined ? 'it has no source' : `IO ${state.ioRunning}, SQL ${state.sqlRunning}`
  const error = (state && (await readReplicationError(replica, state))) || 'no error is shown, so somebody stopped it'
  // mysqld itself has tried again what may pass: a deadlock, a lock that was waited for.
  const isApplier = state?.sqlRunning === 'No' && state.lastSqlErrno !== 0
  throw new TabletkeeperError(
    'ReplicationFailed',
    `replication on ${replica.server} stopped while it caught up (${seen}): ${error}`,
    {
      retryable: !isApplier,
      hint: HINTS[isApplier ? 'applier' : 'perhaps later'],
    },
  )
}
