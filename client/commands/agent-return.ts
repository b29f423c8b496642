import { formatLag } from '../output/clock.ts'
import { EXIT, Interrupted } from '../output/failure.ts'
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
  const returned = await untilStopped(tablet.alias, (signal) =>
    returnTablet({
      config,
      alias: tablet.alias,
      forceForeignLease,
      log: createLog('tabletkeeper', 'warn'),
      signal,
      onWait,
      onTakeOver: () => terminal.note('the agent has ended: doing it here'),
    }),
  )
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

/** @throws Interrupted by Ctrl-C or SIGTERM, when `act` has ended; a second one ends this process at once */
async function untilStopped<T>(alias: string, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, stop)
  try {
    return await act(stopping.signal)
  } catch (error) {
    if (!stopping.signal.aborted) throw error
    throw new Interrupted(
      `${alias} is not waited for any more; what was begun of its return stays`,
      'The same command goes on from there, and so does its agent.',
    )
  } finally {
    for (const signal of signals) process.off(signal, stop)
  }
}
