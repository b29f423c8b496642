import { isError } from '../../model/errors.ts'
import { formatElapsed, formatTime } from '../output/clock.ts'
import { describeFailure, EXIT, renderFailure } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import {
  RUN_COLUMNS,
  runCounters,
  runDocument,
  runNotes,
  runRow,
  type ShownRun,
  subjectOf,
} from '../output/open-runs.ts'
import { renderOutcome, renderWarnings } from '../output/outcome.ts'
import { renderCurrent } from '../output/progress.ts'
import { renderStep, shownSteps } from '../output/steps.ts'
import { renderTable } from '../output/table.ts'
import { waitingOf } from '../output/waiting.ts'
import { type AnyResult, RunFailed, type RunHandle, Tabletkeeper } from '../tabletkeeper.ts'
import { watchRun } from '../watch.ts'
import type { CommandContext } from './command.ts'

export interface StatusOptions {
  readonly follow?: boolean
}

/** `tabletkeeper status [<workflow id>]`: all open runs, or one run, open or not. */
export async function status(
  context: CommandContext,
  workflowId: string | undefined,
  { follow }: StatusOptions,
): Promise<number> {
  await using keeper = await Tabletkeeper.connect()
  if (workflowId === undefined) return await showOpenRuns(context, keeper)
  const run = keeper.handle<AnyResult>(workflowId)
  return follow ? await watchRun(context, (await run.status()).kind, run) : await showRun(context, run)
}

async function showOpenRuns({ terminal, json }: CommandContext, keeper: Tabletkeeper): Promise<number> {
  const open = await keeper.runs()
  const looked = await Promise.all(
    open.map(({ workflowId, runId }) => lookAt(keeper, keeper.handle(workflowId, runId))),
  )
  const runs = looked.filter((run) => run !== undefined)
  if (json) {
    terminal.data(jsonDocument({ runs: runs.map(runDocument) }))
    return EXIT.done
  }
  if (runs.length === 0) {
    terminal.note('no run is open')
    return EXIT.done
  }
  const lines = renderTable(
    RUN_COLUMNS,
    runs.map(runRow),
    terminal.dataIsRead ? 'person' : 'pipe',
    terminal.paint.faint,
  )
  const titles = lines.slice(0, lines.length - runs.length)
  for (const line of titles) terminal.data(line)
  for (const [at, run] of runs.entries()) {
    terminal.data(lines[titles.length + at] ?? '')
    for (const note of [...runCounters(run), ...runNotes(run)]) terminal.note(note)
  }
  return EXIT.done
}

/** Undefined for a run that is over and gone meanwhile. */
async function lookAt(keeper: Tabletkeeper, run: RunHandle<unknown>): Promise<ShownRun | undefined> {
  try {
    const view = await run.view()
    if (view.status === undefined) return undefined
    const { shard, tablet = null } = view.progress ?? view.status.subject ?? {}
    // An agent that the run waits for would not answer this either.
    const isAnswering = shard !== undefined && tablet !== null && waitingOf(view) === undefined
    const report = isAnswering
      ? await keeper.inspect({ shard, tablet }, { timeout: 2 }).catch(() => undefined)
      : undefined
    return { status: view.status, view, report }
  } catch (error) {
    if (isError(error, 'NotFound')) return undefined
    throw error
  }
}

async function showRun({ terminal, json }: CommandContext, run: RunHandle<AnyResult>): Promise<number> {
  const view = await run.view()
  const status = view.status ?? (await run.status())
  const outcome = status.closedAt === undefined ? undefined : await outcomeOf(run)
  if (json) {
    const { result = null, failure } = outcome ?? {}
    const document = { ...runDocument({ status, view, report: undefined }), result }
    terminal.data(
      jsonDocument({ run: failure === undefined ? document : { ...document, failure: describeFailure(failure) } }),
    )
    return EXIT.done
  }
  const { paint } = terminal
  const took = status.closedAt === undefined ? '' : ` after ${formatElapsed(status.startedAt, status.closedAt)}`
  const times = `${status.state}${took}, started ${formatTime(status.startedAt)}`
  terminal.data(paint.strong(`${status.kind} of ${subjectOf({ status, view })}, ${times}`))
  for (const step of view.progress === undefined ? [] : shownSteps(view.progress))
    terminal.data(renderStep(step, paint))
  const current = outcome === undefined ? renderCurrent(view) : undefined
  if (current !== undefined) terminal.data(` … ${current}`)
  if (outcome === undefined) for (const note of runNotes({ status, view })) terminal.data(note)
  if (outcome?.result)
    for (const line of [renderOutcome(outcome.result, paint), ...renderWarnings(outcome.result.warnings, paint)])
      terminal.data(line)
  if (outcome?.failure) for (const line of renderFailure(describeFailure(outcome.failure), paint)) terminal.data(line)
  return EXIT.done
}

interface Outcome {
  readonly result?: AnyResult
  readonly failure?: RunFailed
}

async function outcomeOf(run: RunHandle<AnyResult>): Promise<Outcome> {
  try {
    return { result: await run.result() }
  } catch (error) {
    if (error instanceof RunFailed) return { failure: error }
    throw error
  }
}
