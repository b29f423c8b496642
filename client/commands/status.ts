import { isError, TabletkeeperError } from '../../model/errors.ts'
import { forAll } from '../../storage/for-all.ts'
import { formatElapsed, formatTime } from '../output/clock.ts'
import { describeFailure, EXIT, failureDocument, renderFailure } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import {
  RUN_COLUMNS,
  runCounters,
  runDocument,
  runNotes,
  runRow,
  type ShownRun,
  statusAsListed,
  subjectOf,
} from '../output/open-runs.ts'
import { renderOutcome, renderWarnings } from '../output/outcome.ts'
import { renderCurrent } from '../output/progress.ts'
import { renderStep, shownSteps } from '../output/steps.ts'
import { renderTable } from '../output/table.ts'
import { waitingOf } from '../output/waiting.ts'
import { type AnyResult, type OpenRun, RunFailed, type RunHandle, type Tabletkeeper } from '../tabletkeeper.ts'
import { watchRun } from '../watch.ts'
import type { CommandContext } from './command.ts'
import { connectKeeper } from './connect.ts'

/** Runs that are asked at once, so that many do not make each other late. */
const LOOKED_AT_ONCE = 32

export interface StatusOptions {
  readonly follow?: boolean
}

/** `tabletkeeper status [<workflow id>]`: all open runs, or one run, open or not. */
export async function status(
  context: CommandContext,
  workflowId: string | undefined,
  { follow }: StatusOptions,
): Promise<number> {
  if (follow && workflowId === undefined) {
    throw new TabletkeeperError('InvalidInput', '--follow needs the id of a run', {
      hint: 'tabletkeeper status lists them.',
    })
  }
  await using keeper = await connectKeeper(context)
  if (workflowId === undefined) return await showOpenRuns(context, keeper)
  const run = keeper.handle<AnyResult>(workflowId)
  return follow ? await watchRun(context, (await run.status()).kind, run) : await showRun(context, run)
}

async function showOpenRuns({ terminal, json }: CommandContext, keeper: Tabletkeeper): Promise<number> {
  const open = await keeper.runs()
  const looked = await forAll(open, LOOKED_AT_ONCE, (run) => lookAt(keeper, run))
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
async function lookAt(keeper: Tabletkeeper, open: OpenRun): Promise<ShownRun | undefined> {
  try {
    const view = await keeper.handle(open.workflowId, open.runId).view()
    const status = view.status ?? statusAsListed(open)
    const { shard, tablet = null } = view.progress ?? status.subject ?? {}
    // An agent that the run waits for would not answer this either.
    const isAnswering = shard !== undefined && tablet !== null && waitingOf(view) === undefined
    const report = isAnswering
      ? await keeper.inspect({ shard, tablet }, { timeout: 2 }).catch(() => undefined)
      : undefined
    return { status, view, report }
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
    const ended = failure === undefined ? {} : { failure: failureDocument(describeFailure(failure)) }
    terminal.data(jsonDocument({ run: { ...document, ...ended } }))
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
