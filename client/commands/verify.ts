import { availableParallelism } from 'node:os'
import { verifyBackup } from '../../engine/verify-copy.ts'
import { type BackupName, parseBackupName } from '../../model/backup-name.ts'
import { STEP_TITLES } from '../../model/runs.ts'
import { parseShardName, type ShardName } from '../../model/shard-name.ts'
import { DamagedBackup, isSound } from '../../model/verification.ts'
import { openStore } from '../../storage/kinds.ts'
import { findPublished } from '../../storage/published.ts'
import { loadConfiguration } from '../configuration.ts'
import { EXIT, Interrupted } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderOutcome, renderWarnings } from '../output/outcome.ts'
import { ProgressLine } from '../output/progress-line.ts'
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

  const { Tabletkeeper } = await import('../tabletkeeper.ts')
  const { announceDetached, watchRun } = await import('../watch.ts')
  await using keeper = await Tabletkeeper.connect()
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
  const began = Date.now()
  const concurrency = threads ?? restore.concurrency
  const stopping = new AbortController()
  const stop = () => stopping.abort(new Interrupted())
  process.once('SIGINT', stop)
  terminal.note(terminal.notePaint.strong(`${published.name} of ${shard}`))
  using line = new ProgressLine(terminal, STEP_TITLES.verifyObjects)
  try {
    const found = await verifyBackup({
      ...published,
      store,
      concurrency: concurrency === 'cores' ? availableParallelism() : concurrency,
      signal: stopping.signal,
      onProgress: (progress) => line.show(progress),
    })
    const result = { shard, backup: published.name, ...found, seconds: (Date.now() - began) / 1000 }
    for (const warning of renderWarnings(result.warnings, terminal.notePaint)) terminal.note(warning)
    if (!isSound(result)) throw new DamagedBackup(result)
    terminal.data(json ? jsonDocument({ kind: 'verifyBackup', result }) : renderOutcome(result, terminal.paint))
    return EXIT.done
  } finally {
    process.off('SIGINT', stop)
  }
}
