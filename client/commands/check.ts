import type { Config } from '../../model/config.ts'
import type { TabletReport } from '../../model/report.ts'
import type { ShardName } from '../../model/shard-name.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { checkAgentRights } from '../checks/agent-rights.ts'
import { type Check, checkDocument, failedCheck } from '../checks/check.ts'
import { checkFrequency } from '../checks/frequency.ts'
import { checkStorage, checkView } from '../checks/storage.ts'
import { askTablets, checkAgents, checkTablet } from '../checks/tablets.ts'
import { checkTemporal } from '../checks/temporal.ts'
import { loadConfiguration } from '../configuration.ts'
import { counted } from '../output/count.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import type { Paint } from '../output/terminal.ts'
import { type ScheduleReport, Tabletkeeper } from '../tabletkeeper.ts'
import type { CommandContext } from './command.ts'

/** `tabletkeeper check`: a line for each thing that must be right before backups can be. */
export async function check({ terminal, json, configPath }: CommandContext): Promise<number> {
  const config = await loadConfiguration({ path: configPath })
  const checks: Check[] = []
  for await (const one of checksOf(config)) {
    checks.push(one)
    if (!json) for (const line of renderCheck(one, terminal.paint)) terminal.data(line)
  }
  const count = (verdict: Check['verdict']) => checks.filter((one) => one.verdict === verdict).length
  const failed = count('FAILED')
  if (json) terminal.data(jsonDocument({ ok: failed === 0, checks: checks.map(checkDocument) }))
  else terminal.note(`${count('OK')} OK, ${count('WARN')} WARN, ${failed} FAILED`)
  return failed === 0 ? EXIT.done : EXIT.failed
}

async function* checksOf(config: Config): AsyncGenerator<Check> {
  const tablets = [...config.shards.values()].flatMap((shard) => [...shard.values()])
  yield {
    verdict: 'OK',
    subject: 'config',
    message: `${counted(config.shards.size, 'shard')}, ${counted(tablets.length, 'tablet')}`,
  }
  let keeper: Tabletkeeper
  try {
    keeper = await Tabletkeeper.connect(config.temporal)
  } catch (error) {
    yield failedCheck('temporal', error)
    return
  }
  try {
    const temporal = await checkTemporal(keeper)
    yield temporal
    // Everything else goes through control.
    if (temporal.verdict === 'FAILED') return
    const storage = await checkStorage(keeper, config.storage.kind)
    yield storage.check
    if (temporal.verdict === 'WARN' && storage.check.verdict === 'FAILED') return
    const asked = await askTablets(keeper, tablets)
    yield* checkAgents(asked)
    const reports = asked.flatMap(({ answer }) => ('report' in answer ? [answer.report] : []))
    for (const { tablet, answer } of asked) {
      if ('report' in answer) yield* checkTablet(answer.report, tablet.mysql.admin.user)
    }
    // Nobody can tell what is in a storage that cannot be used; least of all that there is no backup.
    if (storage.check.verdict === 'FAILED') return
    // On a mount nobody can tell: who may create there may remove.
    if (config.storage.kind !== 'file') yield* await checkAgentRights(keeper, reports)
    const store = await openStore(config.storage)
    const obstacle = await checkView(store, storage.repository)
    if (obstacle !== undefined) {
      yield obstacle
      return
    }
    yield* checkShards(keeper, store, [...config.shards.keys()], reports)
  } finally {
    await keeper[Symbol.asyncDispose]()
  }
}

async function* checkShards(
  keeper: Tabletkeeper,
  store: ObjectStore,
  shards: readonly ShardName[],
  reports: readonly TabletReport[],
): AsyncGenerator<Check> {
  let schedules: readonly ScheduleReport[]
  try {
    schedules = await keeper.schedules.list()
  } catch (error) {
    yield failedCheck('schedules', error)
    return
  }
  for (const shard of shards) {
    const isOf = (one: { readonly shard: ShardName }) => one.shard === shard
    yield* await checkFrequency(store, shard, { reports: reports.filter(isOf), schedules: schedules.filter(isOf) })
  }
}

function renderCheck({ verdict, subject, message, hint }: Check, paint: Paint): string[] {
  const colour = { OK: paint.good, WARN: paint.warn, FAILED: paint.bad }[verdict]
  const [first, ...more] = message.split('\n')
  const indent = ' '.repeat(7)
  return [
    `${colour(verdict)}${' '.repeat(7 - verdict.length)}${subject.padEnd(16)} ${first}`,
    ...more.map((line) => `${indent}${line}`),
    ...(hint === undefined ? [] : [`${indent}→ ${hint}`]),
  ]
}
