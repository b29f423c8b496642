import { parseBackupName } from '../../model/backup-name.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { backupNotFound, isRestorable, type ListedBackup, listBackups } from '../../storage/catalogue/catalogue.ts'
import { removeBackup } from '../../storage/catalogue/remove-backup.ts'
import { openStore } from '../../storage/kinds.ts'
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

  const assertRemovable = async (): Promise<void> => {
    if (options.offline) return
    const { assertUnused } = await import('../backup-in-use.ts')
    await assertUnused(shard, name, config.temporal)
  }
  await assertRemovable()
  for (const line of planOf(entry, entries)) terminal.note(line)
  if (options.dryRun) {
    if (json) terminal.data(jsonDocument({ shard, wouldRemove: name }))
    return EXIT.done
  }
  if (!options.yes) {
    await confirm(terminal, `Remove it from ${store.description}? [y/N] `, (answer) => /^y(es)?$/i.test(answer))
    // People take their time.
    await assertRemovable()
  }
  await removeBackup(store, shard, name)
  terminal.data(json ? jsonDocument({ shard, removed: name }) : `removed  ${name}`)
  return EXIT.done
}

function planOf(entry: ListedBackup, entries: readonly ListedBackup[]): string[] {
  const [name, state, size, stored] = backupRow(entry)
  const others = entries.filter((one) => one.state === 'complete' && one.name !== entry.name)
  const usable = others.filter(isRestorable).length
  const errant = others.length - usable
  const aside = errant === 0 ? '' : ` (${errant} errant, which no restore chooses)`
  const sizes = entry.state === 'complete' ? `, ${size}, ${stored} stored` : ''
  return [
    `plan  REMOVES ${name} (${state}${sizes})`,
    usable === 0 && isRestorable(entry)
      ? `      it is the ONLY complete backup of the shard${aside}`
      : `      ${usable} complete ${usable === 1 ? 'backup remains' : 'backups remain'}${aside}`,
  ]
}
