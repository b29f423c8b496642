import { type ReplicationAccount, replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'

/**
 * What an operator or an orchestrator does: `tablet` takes the writes, and those of `others` whose mysqld runs replicate from it. A tablet
 * that is held up in mysqld's absence is left out.
 */
export async function promote(
  tablet: SampleTablet,
  others: readonly SampleTablet[],
  account: ReplicationAccount,
): Promise<void> {
  await tablet.query('STOP REPLICA')
  await tablet.query('RESET REPLICA ALL')
  await tablet.query('SET GLOBAL read_only = OFF')
  for (const other of others) {
    if ((await other.pid()) === undefined) continue
    await other.query('STOP REPLICA').catch(() => undefined)
    await replicateFrom(other, tablet, account)
  }
}

/** They stay on an old primary until its next heartbeat finds nobody there. */
export async function endBinlogDumps(tablet: SampleTablet): Promise<void> {
  const dumps = await tablet.query<{ id: number }>(
    "SELECT id FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'",
  )
  for (const { id } of dumps) await tablet.query('KILL ?', [id]).catch(() => undefined)
}
