import { TabletkeeperError } from '../model/errors.ts'
import type { TabletReport } from '../model/report.ts'
import type { ShardName } from '../model/shard-name.ts'

/**
 * Why a tablet is not the one to back up; undefined when it could be.
 * @param allowPrimary a primary may be, too
 */
export function unfitForBackup(report: TabletReport, allowPrimary = false): string | undefined {
  if (report.agentsElsewhere.length > 0) return `another agent takes its tasks: ${report.agentsElsewhere.join(', ')}`
  if (report.lease !== null) return `held by ${report.lease.workflowId}`
  const isPrimary = report.type === 'PRIMARY' && allowPrimary
  if (report.type !== 'REPLICA' && report.type !== 'RDONLY' && !isPrimary) return `its type is ${report.type}`
  if (report.mysqld !== 'up') return report.reason
  if (report.replication !== 'running' && !isPrimary) return `replication is ${report.replication}`
  if (!report.serving) return report.reason
  if (report.missingGrants.length > 0) return `the agent's account lacks ${report.missingGrants.join(', ')}`
  return report.hazards[0]?.message
}

/**
 * The tablet of a shard to back up: of those that serve, the one with the least lag; RDONLY before REPLICA where that is equal.
 * Where no other is fit it is the primary, if that is allowed.
 * @throws Refused with each tablet's reason when none is fit; NoAgent when all are silent
 */
export function chooseForBackup(
  shard: ShardName,
  reports: readonly (TabletReport | SilentTablet)[],
  allowPrimary = false,
): TabletReport {
  const fit = reports.filter(isReport).filter((report) => unfitForBackup(report, allowPrimary) === undefined)
  const [best] = fit.sort(
    (a, b) =>
      Number(a.type === 'PRIMARY') - Number(b.type === 'PRIMARY') ||
      lagOf(a) - lagOf(b) ||
      preferenceOf(a) - preferenceOf(b) ||
      (a.alias < b.alias ? -1 : 1),
  )
  if (best !== undefined) return best
  // Nobody answered, which may be another in a minute; an agent that says no will say it again.
  const type = reports.some(isReport) ? 'Refused' : 'NoAgent'
  const reasons = reports.map(
    (one) => `${one.alias}: ${isReport(one) ? unfitForBackup(one, allowPrimary) : one.silence}`,
  )
  throw new TabletkeeperError(type, [`no tablet of ${shard} can be backed up now`, ...reasons].join('\n'), {
    hint: 'Nothing was changed. tabletkeeper check tells more.',
  })
}

/** A tablet whose agent did not answer. */
export interface SilentTablet {
  readonly alias: string
  readonly silence: string
}

function isReport(one: TabletReport | SilentTablet): one is TabletReport {
  return !('silence' in one)
}

function lagOf({ lagSeconds }: TabletReport): number {
  return lagSeconds ?? Number.POSITIVE_INFINITY
}

function preferenceOf({ type }: TabletReport): number {
  return type === 'RDONLY' ? 0 : 1
}
