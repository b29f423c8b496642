import type { Config } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import { type Check, failedCheck } from '../checks/check.ts'
import { checkFrequency } from '../checks/frequency.ts'
import { checkStorage } from '../checks/storage.ts'
import { askTablets, checkAgents, checkTablet } from '../checks/tablets.ts'
import { checkTemporal } from '../checks/temporal.ts'
import { loadConfiguration } from '../configuration.ts'
import { counted } from '../output/count.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import type { Paint } from '../output/terminal.ts'
import { Tabletkeeper } from '../tabletkeeper.ts'
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
  if (json) terminal.data(jsonDocument({ ok: failed === 0, checks }))
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
    keeper = await Tabletkeeper.connect()
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
    yield storage
    const asked = await askTablets(keeper, tablets)
    yield* checkAgents(asked)
    const reports = asked.flatMap(({ answer }) => ('report' in answer ? [answer.report] : []))
    for (const report of reports) yield* checkTablet(report)
    // Nobody can tell what is in a storage that cannot be used; least of all that there is no backup.
    if (storage.verdict === 'FAILED') return
    const store = await openStore(config.storage)
    for (const shard of config.shards.keys()) {
      yield await checkFrequency(
        keeper,
        store,
        shard,
        reports.filter((report) => report.shard === shard),
      )
    }
  } finally {
    await keeper[Symbol.asyncDispose]()
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
