import type { Lease } from '../model/lease.ts'
import type { MysqlConnection } from '../mysql/admin/admin.ts'
import { connectedReplicas } from '../mysql/admin/server-state.ts'
import type { ReplicationState } from '../mysql/replication/replication.ts'
import type { RunningTablet } from '../tablets/driver.ts'
import { assertCommitsGoOn } from './commits-go-on.ts'
import { refused } from './refusal.ts'
import type { TabletContext } from './tablet-context.ts'

/**
 * The tablet takes no writes, feeds nobody, and its primary can commit without it; or it may be stopped all the same, since it is the primary
 * of a shard of which no other tablet could be backed up. Asked of the servers, since the configuration may be older than a failover.
 * @returns undefined for a primary
 * @throws Refused
 */
export async function assertBackupSource(
  context: TabletContext,
  state: RunningTablet,
  connection: MysqlConnection,
  allowPrimary: boolean,
): Promise<ReplicationState | undefined> {
  if (!allowPrimary || !isPrimary(state)) return await assertReplica(context, state, connection)
  const others = await context.tablet.driver.othersServing()
  if (others.length === 0) return undefined
  const { shard } = context.tablet.driver
  throw refused(
    context,
    `is the primary of ${shard}, and ${others.join(' and ')} could be backed up instead`,
    `Back up another tablet of the shard: tabletkeeper backup ${shard}`,
  )
}

/**
 * The same of a tablet that a run holds, before it is stopped. A primary is read-only by then, as the run made it.
 * @throws Refused
 */
export async function assertStillSource(
  context: TabletContext,
  { returnTo }: Lease,
  state: RunningTablet,
  connection: MysqlConnection,
): Promise<void> {
  if (returnTo !== 'PRIMARY') await assertReplica(context, state, connection)
  else if (state.replication !== undefined) {
    throw refused(
      context,
      'is no primary any more: it was given a source since it was taken',
      'Start the backup again.',
    )
  }
}

async function assertReplica(
  context: TabletContext,
  state: RunningTablet,
  connection: MysqlConnection,
): Promise<ReplicationState> {
  const { replication, server } = state
  const { shard } = context.tablet.driver
  const replicas = await connectedReplicas(connection)
  const signs = `read_only=${server.readOnly ? 'ON' : 'OFF'}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'} connected`
  const another = `Back up another tablet of the shard: tabletkeeper backup ${shard}`
  if (isPrimary(state)) {
    const alone = 'Where there is no other: --allow-primary, and it is down while it is copied.'
    throw refused(context, `takes writes (${signs}): it is the primary of ${shard}`, `${another}. ${alone}`)
  }
  if (replication === undefined)
    throw refused(context, `replicates from nobody (${signs})`, `Make it a replica of the primary first. ${another}`)
  if (!server.readOnly) {
    const message = `takes writes though it is a replica (${signs})`
    throw refused(context, message, `Find out who writes to it, then SET GLOBAL super_read_only = ON. ${another}`)
  }
  if (replicas > 0) throw refused(context, `feeds other tablets (${signs})`, `Point them elsewhere first. ${another}`)
  await assertCommitsGoOn(context, connection)
  return replication
}

function isPrimary({ replication, server }: RunningTablet): boolean {
  return replication === undefined && !server.readOnly
}
