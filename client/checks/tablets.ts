import type { TabletConfig } from '../../model/config.ts'
import { messageOf } from '../../model/errors.ts'
import type { TabletReport } from '../../model/report.ts'
import { agentQueue } from '../../model/runs.ts'
import { formatBytes } from '../../model/units.ts'
import { formatClock, formatLag } from '../output/clock.ts'
import type { Tabletkeeper } from '../tabletkeeper.ts'
import type { Check } from './check.ts'

/** A tablet of the configuration and what its agent says, or why it says nothing. */
export interface AskedTablet {
  readonly tablet: TabletConfig
  readonly answer: { readonly report: TabletReport } | { readonly silence: string }
}

/** Asks the agents of all tablets at once. */
export function askTablets(keeper: Tabletkeeper, tablets: readonly TabletConfig[]): Promise<AskedTablet[]> {
  return Promise.all(
    tablets.map(async (tablet) => {
      try {
        return { tablet, answer: { report: await keeper.inspect({ shard: tablet.shard, tablet: tablet.alias }) } }
      } catch (error) {
        return { tablet, answer: { silence: `${messageOf(error)}${await lastSeen(keeper, tablet)}` } }
      }
    }),
  )
}

/** Whether each tablet has an agent that answers. */
export function checkAgents(asked: readonly AskedTablet[]): Check[] {
  const silent = asked.flatMap(({ tablet, answer }) =>
    'silence' in answer ? [{ tablet, silence: answer.silence }] : [],
  )
  if (silent.length === 0)
    return [{ verdict: 'OK', subject: 'agents', message: `${asked.length} of ${asked.length} answer` }]
  return silent.map(({ tablet: { alias, host }, silence }) => ({
    verdict: 'FAILED',
    subject: alias,
    message: silence,
    hint: `Start tabletkeeper agent on ${host}.`,
  }))
}

/** What stands against backing a tablet up, or that nothing does. */
export function checkTablet(report: TabletReport): Check[] {
  const subject = report.alias
  // Who is primary is not backed up; after a failover it would be.
  const verdict = report.type === 'PRIMARY' ? 'WARN' : 'FAILED'
  const problems: Check[] = report.hazards.map(({ message, hint }) => ({ verdict, subject, message, hint }))
  if (report.missingGrants.length > 0) {
    problems.push({
      verdict: 'FAILED',
      subject,
      message: `the agent's account lacks ${report.missingGrants.join(', ')}`,
      hint: `On ${report.host}: GRANT ${report.missingGrants.join(', ')} ON *.* TO the account mysql.admin.user.`,
    })
  }
  if (report.lease !== null) {
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
