import type { TabletConfig } from '../../model/config.ts'
import { twoAgents } from '../../model/machine.ts'
import type { TabletReport } from '../../model/report.ts'
import { agentQueue } from '../../model/runs.ts'
import { formatBytes } from '../../model/units.ts'
import { howToGrant } from '../../mysql/admin/grants.ts'
import { forAll } from '../../storage/for-all.ts'
import { formatClock, formatLag } from '../output/clock.ts'
import { describeFailure } from '../output/failure.ts'
import type { Tabletkeeper } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'

/** Each is a workflow: more at once would make each other late, and agents that answer would look silent. */
export const ASKED_AT_ONCE = 64

/** A tablet of the configuration and what its agent says, or why it says nothing. */
export interface AskedTablet {
  readonly tablet: TabletConfig
  readonly answer: { readonly report: TabletReport } | { readonly silence: Check }
}

/** Asks the agents of all tablets, many at once. */
export function askTablets(keeper: Tabletkeeper, tablets: readonly TabletConfig[]): Promise<AskedTablet[]> {
  return forAll(tablets, ASKED_AT_ONCE, async (tablet) => {
    try {
      return { tablet, answer: { report: await keeper.inspect({ shard: tablet.shard, tablet: tablet.alias }) } }
    } catch (error) {
      return { tablet, answer: { silence: judgeSilence(tablet, error, await lastSeen(keeper, tablet)) } }
    }
  })
}

/** Whether each tablet has an agent that answers. */
export function checkAgents(asked: readonly AskedTablet[]): Check[] {
  const silent = asked.flatMap(({ answer }) => ('silence' in answer ? [answer.silence] : []))
  if (silent.length > 0) return silent
  return [{ verdict: 'OK', subject: 'agents', message: `${asked.length} of ${asked.length} answer` }]
}

/** What is to be said of a tablet that nothing was heard of: an error of its agent, of control or of Temporal says itself what to do. */
export function judgeSilence(
  { alias, host }: Pick<TabletConfig, 'alias' | 'host'>,
  error: unknown,
  seen: string,
): Check {
  const failed = failedCheck(alias, error)
  const message = `${failed.message}${seen}`
  // NoAgent of a silent control names no tablet.
  const isItsAgent = describeFailure(error).type === 'NoAgent' && failed.message.includes(alias)
  return { ...failed, message, hint: isItsAgent ? `Start tabletkeeper agent on ${host}.` : failed.hint }
}

/**
 * What stands against backing a tablet up, or that nothing does.
 * @param user the agent's account, `mysql.admin.user`
 */
export function checkTablet(report: TabletReport, user: string): Check[] {
  const subject = report.alias
  // Who is primary is not backed up; after a failover it would be.
  const verdict = report.type === 'PRIMARY' ? 'WARN' : 'FAILED'
  const problems: Check[] = report.hazards.map(({ message, hint }) => ({ verdict, subject, message, hint }))
  if (report.missingGrants.length > 0) {
    problems.push({
      verdict: 'FAILED',
      subject,
      message: `the agent's account lacks ${report.missingGrants.join(', ')}`,
      hint: howToGrant(report.missingGrants, user),
    })
  }
  if (report.agentsElsewhere.length > 0) {
    const { message, hint } = twoAgents(report.alias, report.agentsElsewhere)
    problems.push({ verdict: 'FAILED', subject, message, hint })
  }
  if (report.lease?.foreign != null) {
    problems.push({
      verdict: 'FAILED',
      subject,
      message: `its lease is not its own: ${report.lease.foreign}`,
      hint: `Did its volume move to ${report.host}? There: sudo tabletkeeper agent return ${subject} --force-foreign-lease. Is this a copy of it? Then stop this agent.`,
    })
  } else if (report.lease !== null) {
    const { kind, workflowId, since } = report.lease
    problems.push({
      verdict: 'WARN',
      subject,
      message: `held by a ${kind} since ${since}`,
      hint: `tabletkeeper status ${workflowId}`,
    })
  } else if (!report.serving) {
    problems.push({
      verdict: report.mysqld === 'empty' ? 'WARN' : 'FAILED',
      subject,
      message: `does not serve: ${report.reason}`,
      ...(report.hint === null ? {} : { hint: report.hint }),
    })
  }
  return problems.length > 0 ? problems : [{ verdict: 'OK', subject, message: soundness(report) }]
}

function soundness({ type, version, lagSeconds, dataBytes }: TabletReport): string {
  const lag = lagSeconds === null ? [] : [formatLag(lagSeconds)]
  return [type, `MySQL ${version}`, ...lag, formatBytes(dataBytes)].join(', ')
}

async function lastSeen(keeper: Tabletkeeper, { alias }: TabletConfig): Promise<string> {
  const [newest] = await keeper.pollers(agentQueue(alias)).catch(() => [])
  return newest === undefined ? '' : ` (last seen ${formatClock(newest.lastSeen)} UTC: ${newest.identity})`
}
