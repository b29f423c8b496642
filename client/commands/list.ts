import type { Config } from '../../model/config.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { parseShardName, type ShardName } from '../../model/shard-name.ts'
import { type ListedBackup, listBackups } from '../../storage/catalogue/catalogue.ts'
import { openStore } from '../../storage/kinds.ts'
import { askBinaryLogs, type BinaryLogs, canCatchUp } from '../catch-up.ts'
import { loadConfiguration } from '../configuration.ts'
import { BACKUP_COLUMNS, backupDocument, backupRow, summarize } from '../output/backups.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderTable } from '../output/table.ts'
import type { CommandContext } from './command.ts'

export interface ListOptions {
  readonly offline?: boolean
}

/** `tabletkeeper list <keyspace/shard>`: oldest first. */
export async function list(context: CommandContext, text: string, { offline }: ListOptions): Promise<number> {
  const { terminal, json } = context
  const shard = parseShardName(text)
  const config = await loadConfiguration({ path: context.configPath })
  const store = await openStore(config.storage)
  const { entries, ignored } = await listBackups(store, shard)
  if (entries.length === 0 && !config.shards.has(shard)) throw unknownShard(shard, config, store.description)
  const tablets = [...(config.shards.get(shard)?.values() ?? [])]
  const logs = offline || entries.length === 0 ? undefined : await askBinaryLogs(tablets, config.temporal)

  if (json) {
    terminal.data(
      jsonDocument({ shard, storage: store.description, backups: entries.map((entry) => rowOf(entry, logs)) }),
    )
    return EXIT.done
  }
  const reader = terminal.dataIsRead ? 'person' : 'pipe'
  if (entries.length > 0) {
    for (const line of renderTable(BACKUP_COLUMNS, entries.map(backupRow), reader, terminal.paint.faint))
      terminal.data(line)
  }
  terminal.note(
    summarize(
      shard,
      entries,
      new Date(),
      logs && { ...logs, able: entries.filter((entry) => canCatchUp(entry, logs)).length },
    ),
  )
  for (const name of ignored) terminal.note(`ignored: ${shard}/${name} is not named like a backup`)
  return EXIT.done
}

function rowOf(entry: ListedBackup, logs: BinaryLogs | undefined) {
  return { ...backupDocument(entry), canCatchUp: (logs && canCatchUp(entry, logs)) ?? null }
}

function unknownShard(shard: ShardName, config: Config, storage: string): TabletkeeperError {
  return new TabletkeeperError(
    'NotFound',
    `${shard} is no shard of the configuration, and ${storage} has no backups of it`,
    {
      hint: `The configuration has ${[...config.shards.keys()].join(', ') || 'no shards'}.`,
    },
  )
}
