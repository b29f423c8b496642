import { parseAlias, type TabletAlias } from '../../model/alias.ts'
import { isError } from '../../model/errors.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { judgeInterval } from '../checks/frequency.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderWarnings } from '../output/outcome.ts'
import { renderSchedule, SCHEDULE_COLUMNS, scheduleDocument, scheduleRow } from '../output/schedules.ts'
import { renderTable } from '../output/table.ts'
import type { RunSubject, ScheduleReport, ScheduleWords, Tabletkeeper } from '../tabletkeeper.ts'
import { type CommandContext, tabletNamed } from './command.ts'
import { connectKeeper } from './connect.ts'

export interface CreateOptions extends ScheduleWords {
  readonly concurrency?: number
  readonly allowPrimary?: boolean
}

/** `tabletkeeper schedule create <alias> --cron … | --every …` */
export async function create(context: CommandContext, alias: string, options: CreateOptions): Promise<number> {
  const { cron, every, jitter, catchUp, timezone, concurrency, allowPrimary } = options
  const subject = await subjectNamed(context, alias)
  await using keeper = await connectKeeper(context)
  const schedule = {
    ...subject,
    cron,
    every,
    jitter,
    catchUp,
    timezone,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(allowPrimary === undefined ? {} : { allowPrimary }),
  }
  const created = await keeper.schedules.create(schedule)
  await warnOfInterval(context, keeper, created)
  return showOne(context, created)
}

/** `tabletkeeper schedule list [<keyspace/shard>]` */
export async function list(context: CommandContext, text: string | undefined): Promise<number> {
  const { terminal, json } = context
  const shard = text === undefined ? undefined : parseShardName(text)
  await using keeper = await connectKeeper(context)
  const schedules = await keeper.schedules.list(shard)
  if (json) {
    terminal.data(jsonDocument({ schedules: schedules.map(scheduleDocument) }))
    return EXIT.done
  }
  if (schedules.length === 0)
    terminal.note('no schedules. Create one: tabletkeeper schedule create <alias> --every 24h')
  else {
    const reader = terminal.dataIsRead ? 'person' : 'pipe'
    for (const line of renderTable(SCHEDULE_COLUMNS, schedules.map(scheduleRow), reader, terminal.paint.faint))
      terminal.data(line)
  }
  return EXIT.done
}

/** `tabletkeeper schedule show <alias>` */
export async function show(context: CommandContext, alias: string): Promise<number> {
  const tablet = parseAlias(alias)
  await using keeper = await connectKeeper(context)
  const subject = await scheduledTablet(context, keeper, tablet)
  return showOne(context, await keeper.schedules.describe(subject))
}

export interface NoteOptions {
  readonly note?: string
}

/** `tabletkeeper schedule pause <alias>` */
export async function pause(context: CommandContext, alias: string, { note }: NoteOptions): Promise<number> {
  return act(context, alias, 'paused', (keeper, subject) =>
    keeper.schedules.pause(subject, note ?? 'paused by tabletkeeper'),
  )
}

/** `tabletkeeper schedule resume <alias>` */
export async function resume(context: CommandContext, alias: string, { note }: NoteOptions): Promise<number> {
  return act(context, alias, 'resumed', (keeper, subject) =>
    keeper.schedules.resume(subject, note ?? 'resumed by tabletkeeper'),
  )
}

/** `tabletkeeper schedule trigger <alias>` */
export async function trigger(context: CommandContext, alias: string): Promise<number> {
  const status = await act(context, alias, 'triggered', (keeper, subject) => keeper.schedules.trigger(subject))
  context.terminal.note('  tabletkeeper status shows its run.')
  return status
}

/** `tabletkeeper schedule delete <alias>` */
export async function remove(context: CommandContext, alias: string): Promise<number> {
  return act(context, alias, 'deleted', (keeper, subject) => keeper.schedules.delete(subject))
}

/** Said where the tablet's agent answers; `check` says it again. */
async function warnOfInterval(
  { terminal }: CommandContext,
  keeper: Tabletkeeper,
  schedule: ScheduleReport,
): Promise<void> {
  const report = await keeper.inspect(schedule, { timeout: 2 }).catch(() => undefined)
  const finding = report && judgeInterval(schedule, report)
  if (finding === undefined) return
  for (const line of renderWarnings([{ about: finding.subject, message: finding.message }], terminal.notePaint))
    terminal.note(line)
  if (finding.hint !== undefined) terminal.note(`  ${finding.hint}`)
}

async function subjectNamed(context: CommandContext, alias: string): Promise<RunSubject> {
  const { tablet } = await tabletNamed(context, alias)
  return { shard: tablet.shard, tablet: tablet.alias }
}

/** A tablet of the configuration; or one that has left it, or its shard, before its schedule was deleted. */
async function scheduledTablet(
  context: CommandContext,
  keeper: Tabletkeeper,
  tablet: TabletAlias,
): Promise<RunSubject> {
  try {
    const subject = await subjectNamed(context, tablet)
    await keeper.schedules.describe(subject)
    return subject
  } catch (error) {
    if (!isError(error, 'NotFound')) throw error
    const left = (await keeper.schedules.list()).find((one) => one.tablet === tablet)
    if (left === undefined) throw error
    return { shard: left.shard, tablet }
  }
}

async function act(
  context: CommandContext,
  alias: string,
  done: string,
  change: (keeper: Tabletkeeper, subject: RunSubject) => Promise<void>,
): Promise<number> {
  const { terminal, json } = context
  const tablet = parseAlias(alias)
  await using keeper = await connectKeeper(context)
  const subject = await scheduledTablet(context, keeper, tablet)
  await change(keeper, subject)
  terminal.data(json ? jsonDocument({ ...subject, outcome: done }) : `${done}  the schedule of ${subject.tablet}`)
  return EXIT.done
}

function showOne({ terminal, json }: CommandContext, report: ScheduleReport): number {
  if (json) terminal.data(jsonDocument({ schedule: scheduleDocument(report) }))
  else for (const line of renderSchedule(report, terminal.paint)) terminal.data(line)
  return EXIT.done
}
