import { verifyBackup } from '../../engine/verify/verify-copy.ts'
import { type BackupName, parseBackupName } from '../../model/backup-name.ts'
import { parseShardName, type ShardName } from '../../model/shard-name.ts'
import { DamagedBackup, isSound } from '../../model/verification.ts'
import { findPublished } from '../../storage/catalogue/published.ts'
import { openStore } from '../../storage/kinds.ts'
import { loadConfiguration } from '../configuration.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderOutcome, renderWarnings } from '../output/outcome.ts'
import { doHere } from '../storage-job.ts'
import type { CommandContext } from './command.ts'

export interface VerifyOptions {
  readonly concurrency?: number
  readonly offline?: boolean
  readonly detach?: boolean
}

/** `tabletkeeper verify <keyspace/shard> [<name>|latest]`: reads it in full. Damage makes the exit status 30. */
export async function verify(
  context: CommandContext,
  text: string,
  which: string,
  options: VerifyOptions,
): Promise<number> {
  const { terminal } = context
  const { concurrency, offline, detach } = options
  const shard = parseShardName(text)
  const name = which === 'latest' ? undefined : parseBackupName(which).name
  if (offline) return await verifyHere(context, shard, name, concurrency)

  const { connectKeeper } = await import('./connect.ts')
  const { announceDetached, watchRun } = await import('../watch.ts')
  await using keeper = await connectKeeper(context)
  const run = await keeper.verify({
    shard,
    ...(name === undefined ? {} : { backup: name }),
    ...(concurrency === undefined ? {} : { concurrency }),
  })
  if (detach) return announceDetached(context, 'verifyBackup', run)
  terminal.note(terminal.notePaint.strong(`${name ?? 'the latest backup'} of ${shard}`))
  return await watchRun(context, 'verifyBackup', run)
}

/** In this process, with storage alone. */
async function verifyHere(
  { terminal, json, configPath }: CommandContext,
  shard: ShardName,
  name: BackupName | undefined,
  threads: number | undefined,
): Promise<number> {
  const { storage, restore } = await loadConfiguration({ path: configPath })
  const store = await openStore(storage)
  const published = await findPublished(store, shard, name ?? 'latest')
  const how = {
    heading: `${published.name} of ${shard}`,
    step: 'verifyObjects',
    threads: threads ?? restore.concurrency,
  } as const
  const { result: found, seconds } = await doHere(terminal, how, (job) => verifyBackup({ ...published, store, ...job }))
  const result = { shard, backup: published.name, ...found, seconds }
  for (const warning of renderWarnings(result.warnings, terminal.notePaint)) terminal.note(warning)
  if (!isSound(result)) throw new DamagedBackup(result)
  terminal.data(json ? jsonDocument({ kind: 'verifyBackup', result }) : renderOutcome(result, terminal.paint))
  return EXIT.done
}
