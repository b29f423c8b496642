import { parseBackupName } from '../../model/backup-name.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { listed, readBackup } from '../../storage/catalogue/catalogue.ts'
import { openStore } from '../../storage/kinds.ts'
import { loadConfiguration } from '../configuration.ts'
import { renderBackup } from '../output/backup-page.ts'
import { backupDocument } from '../output/backups.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import type { CommandContext } from './command.ts'

/** `tabletkeeper show <keyspace/shard> [<name>|latest]`: asks storage alone. A backup that is not sound makes the exit status 30. */
export async function show(
  { terminal, json, configPath }: CommandContext,
  text: string,
  which: string,
): Promise<number> {
  const shard = parseShardName(text)
  const name = which === 'latest' ? which : parseBackupName(which).name
  const config = await loadConfiguration({ path: configPath })
  const entry = listed(await readBackup(await openStore(config.storage), shard, name))
  if (json) terminal.data(jsonDocument({ shard, backup: backupDocument(entry) }))
  else for (const line of renderBackup(entry, terminal.paint)) terminal.data(line)
  return entry.state === 'corrupt' ? EXIT.verificationFailed : EXIT.done
}
