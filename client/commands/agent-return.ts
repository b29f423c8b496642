import { formatLag } from '../output/clock.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { type CommandContext, tabletNamed } from './command.ts'

export interface AgentReturnOptions {
  readonly forceForeignLease?: boolean
}

/** `tabletkeeper agent return <alias>`: on the tablet's host, Temporal or not. */
export async function agentReturn(
  context: CommandContext,
  alias: string,
  { forceForeignLease }: AgentReturnOptions,
): Promise<number> {
  const { terminal, json } = context
  const { config, tablet } = await tabletNamed(context, alias)
  const [{ returnTablet }, { createLog }] = await Promise.all([
    import('../../workers/return.ts'),
    import('../../workers/telemetry.ts'),
  ])
  let told = ''
  const onWait = (waitingFor: string): void => {
    if (waitingFor !== told) terminal.note(`waiting for ${waitingFor}`)
    told = waitingFor
  }
  const returned = await returnTablet({
    config,
    alias: tablet.alias,
    forceForeignLease,
    log: createLog('tabletkeeper', 'warn'),
    onWait,
  })
  const { outcome, type, lagSeconds, details } = returned
  if (json) {
    terminal.data(jsonDocument({ tablet: tablet.alias, ...returned }))
    return EXIT.done
  }
  for (const detail of details) terminal.note(`  ${detail}`)
  const facts = [
    ...(type === null ? [] : [`type ${type}`]),
    ...(lagSeconds === null ? [] : [formatLag(lagSeconds)]),
  ].join(', ')
  terminal.data(
    outcome === 'nothing to do'
      ? `nothing to do: no run holds ${tablet.alias}`
      : `returned  ${tablet.alias}  ${facts}`.trimEnd(),
  )
  return EXIT.done
}
