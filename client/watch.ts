import type { CommandContext } from './commands/command.ts'
import { EXIT } from './output/failure.ts'
import { jsonDocument } from './output/json.ts'
import { renderOutcome, renderWarnings } from './output/outcome.ts'
import { RunDisplay } from './output/run-view.ts'
import type { Terminal } from './output/terminal.ts'
import type { RunHandle } from './run-handle.ts'
import type { AnyResult } from './tabletkeeper.ts'

/** The reason with which watching is aborted when the person presses Ctrl-C. */
const DETACHED = Symbol('detached')

/**
 * Shows a run until its end and prints its outcome. Ctrl-C ends the watching alone.
 * @returns the exit status
 * @throws RunFailed when the run did not succeed
 */
export async function watchRun(
  { terminal, json }: CommandContext,
  kind: string,
  run: RunHandle<AnyResult>,
): Promise<number> {
  const result = await watchToEnd(terminal, run)
  if (result === undefined) {
    if (json) announceDetached({ terminal, json }, kind, run)
    return EXIT.interrupted
  }
  const { workflowId, runId } = run
  terminal.data(json ? jsonDocument({ kind, workflowId, runId, result }) : renderOutcome(result, terminal.paint))
  return EXIT.done
}

/**
 * Shows a run until its end, for who tells the outcome in other words.
 * @returns undefined when Ctrl-C has ended the watching: how to come back is said then
 * @throws RunFailed when the run did not succeed
 */
export async function watchToEnd(terminal: Terminal, run: RunHandle<AnyResult>): Promise<AnyResult | undefined> {
  const display = new RunDisplay(terminal)
  const watching = new AbortController()
  const detach = () => watching.abort(DETACHED)
  process.once('SIGINT', detach)
  try {
    const result = await run.follow((view) => display.show(view), { signal: watching.signal })
    display.end()
    for (const line of renderWarnings(result.warnings, terminal.notePaint)) terminal.note(line)
    return result
  } catch (error) {
    display.end()
    if (error !== DETACHED) throw error
    terminal.note('detached: the run goes on.')
    terminal.note(`  come back  tabletkeeper status ${run.workflowId} --follow`)
    terminal.note(`  stop it    tabletkeeper cancel ${run.workflowId}`)
    return undefined
  } finally {
    process.off('SIGINT', detach)
  }
}

/** Prints what was started, for somebody who does not wait. */
export function announceDetached(
  { terminal, json }: Pick<CommandContext, 'terminal' | 'json'>,
  kind: string,
  run: RunHandle<unknown>,
): number {
  const { workflowId, runId } = run
  terminal.data(json ? jsonDocument({ kind, workflowId, runId }) : workflowId)
  return EXIT.done
}
