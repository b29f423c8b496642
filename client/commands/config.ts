import { explainConfig } from '../../model/config-origins.ts'
import { readConfiguration } from '../configuration.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderTable } from '../output/table.ts'
import { type VitessFlags, vitessOverrides } from '../vitess-flags.ts'
import type { CommandContext } from './command.ts'

/** `tabletkeeper config print`: every setting in force and who says so. Takes the flags of `agent`, to see which settings they change. */
export async function printConfig({ terminal, json, configPath }: CommandContext, flags: VitessFlags): Promise<number> {
  const settings = explainConfig(await readConfiguration({ path: configPath, overrides: vitessOverrides(flags) }))
  if (json) {
    terminal.data(jsonDocument({ settings }))
    return EXIT.done
  }
  const columns = [{ title: 'KEY' }, { title: 'VALUE' }, { title: 'FROM' }]
  const rows = settings.map(({ key, value, origin }) => [key, value === null ? '-' : String(value), origin])
  const reader = terminal.dataIsRead ? 'person' : 'pipe'
  for (const line of renderTable(columns, rows, reader, terminal.paint.faint)) terminal.data(line)
  return EXIT.done
}
