import type { MysqlConnection } from '../mysql/admin/admin.ts'
import { acknowledgesCommits, isSemiSyncReplica, type SemiSync } from '../mysql/replication/semi-sync.ts'
import { refused } from './refusal.ts'
import type { TabletContext } from './tablet-context.ts'

/** Why the primary's commits would stand still without a tablet, and what to do. */
interface LackOfAcknowledgement {
  readonly message: string
  readonly hint: string
}

const HINT =
  'Have another replica acknowledge them (rpl_semi_sync_replica_enabled), or on the primary, until this is over: SET GLOBAL rpl_semi_sync_source_enabled = OFF'

/**
 * Whether the primary can commit without this tablet: where its commits wait until replicas acknowledge them (semi-synchronous replication),
 * enough others do. Vitess lets them wait for ever.
 * @returns undefined where it can
 */
export async function lackOfAcknowledgement(
  { tablet }: TabletContext,
  connection: MysqlConnection,
): Promise<LackOfAcknowledgement | undefined> {
  if (!(await acknowledgesCommits(connection))) return undefined
  const semiSync = await tablet.driver.primarySemiSync()
  const left = (semiSync?.acknowledging ?? 0) - 1
  if (semiSync === undefined || left >= semiSync.needed) return undefined
  return { message: `${acknowledges(semiSync)}: without it ${left} would be left`, hint: HINT }
}

/** @throws Refused where the primary's commits would stand still without this tablet */
export async function assertCommitsGoOn(context: TabletContext, connection: MysqlConnection): Promise<void> {
  const lack = await lackOfAcknowledgement(context, connection)
  if (lack !== undefined) throw refused(context, lack.message, lack.hint)
}

/**
 * The same when this tablet no longer replicates: another one that acknowledged may have been stopped in the same moment.
 * @throws Refused
 */
export async function assertCommitsStillGoOn(context: TabletContext, connection: MysqlConnection): Promise<void> {
  if (!(await isSemiSyncReplica(connection))) return
  const semiSync = await context.tablet.driver.primarySemiSync()
  if (semiSync === undefined || semiSync.acknowledging >= semiSync.needed) return
  throw refused(context, `${acknowledges(semiSync)}: only ${semiSync.acknowledging} are left`, HINT)
}

function acknowledges({ needed }: SemiSync): string {
  return `acknowledges the commits of its primary (semi-sync), which wait for ${needed}`
}
