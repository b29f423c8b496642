import { parseBackupName } from '../../model/backup-name.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { type BackupEntry, backupNotFound, listBackups } from '../../storage/catalogue.ts'
import { openStore } from '../../storage/kinds.ts'
import { removeBackup } from '../../storage/remove-backup.ts'
import { loadConfiguration } from '../configuration.ts'
import { backupRow } from '../output/backups.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import type { CommandContext } from './command.ts'
import { confirm } from './confirm.ts'

export interface RemoveOptions {
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly offline?: boolean
}

/** `tabletkeeper remove <keyspace/shard> <name>`: shows what goes, asks, removes that and nothing else. */
export async function remove(
  context: CommandContext,
  text: string,
  backup: string,
  options: RemoveOptions,
): Promise<number> {
  const { terminal, json } = context
  const shard = parseShardName(text)
  const { name } = parseBackupName(backup)
  const config = await loadConfiguration({ path: context.configPath })
  const store = await openStore(config.storage)
  const { entries } = await listBackups(store, shard)
  const entry = entries.find((one) => one.name === name)
  if (entry === undefined) throw backupNotFound(shard, name)

  if (!options.offline) {
    const { assertUnused } = await import('../backup-in-use.ts')
    await assertUnused(shard, name)
  }
  for (const line of planOf(entry, entries)) terminal.note(line)
  if (options.dryRun) return EXIT.done
  if (!options.yes)
    await confirm(terminal, `Remove it from ${store.description}? [y/N] `, (answer) => /^y(es)?$/i.test(answer))
  await removeBackup(store, shard, name)
  terminal.data(json ? jsonDocument({ shard, removed: name }) : `removed  ${name}`)
  return EXIT.done
}

function planOf(entry: BackupEntry, entries: readonly BackupEntry[]): string[] {
  const [name, state, size, stored] = backupRow(entry)
  const others = entries.filter((one) => one.state === 'complete' && one.name !== entry.name).length
  const sizes = entry.state === 'complete' ? `, ${size}, ${stored} stored` : ''
  return [
    `plan  REMOVES ${name} (${state}${sizes})`,
    others === 0 && entry.state === 'complete'
      ? '      it is the ONLY complete backup of the shard'
      : `      ${others} complete ${others === 1 ? 'backup remains' : 'backups remain'}`,
  ]
}
