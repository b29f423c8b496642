import { availableParallelism } from 'node:os'
import type { Config, TabletConfig } from '../../model/config.ts'
import { STEP_TITLES } from '../../model/runs.ts'
import { formatBytes, formatDuration } from '../../model/units.ts'
import { programRelease } from '../../mysql/mysqld-program.ts'
import { backupDirectory } from '../../storage/backup-key.ts'
import { openStore } from '../../storage/kinds.ts'
import { restoreOffline as restoreFromStorage } from '../../tablets/break-glass.ts'
import { backupDocument } from '../output/backups.ts'
import { EXIT, Interrupted } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { ProgressLine } from '../output/progress-line.ts'
import { describeBackup } from '../output/restore-plan.ts'
import { lookUp, type WantedBackup } from '../restore-lookup.ts'
import type { CommandContext } from './command.ts'

export interface OfflineOptions {
  readonly wanted: WantedBackup
  /** Undefined: only say which backup it would be. */
  readonly datadir: string | undefined
  readonly threads: number | undefined
}

/** `tabletkeeper restore <alias> --offline [--data-dir D]`: for the day when storage is all that is left. */
export async function restoreOffline(
  context: CommandContext,
  { config, tablet }: { readonly config: Config; readonly tablet: TabletConfig },
  { wanted, datadir, threads }: OfflineOptions,
): Promise<number> {
  const { terminal, json } = context
  const { alias, shard, mysql } = tablet
  const store = await openStore(config.storage)
  // What is only looked up need not have a mysqld here.
  const version = datadir === undefined ? null : (await programRelease(mysql.mysqld)).banner
  const found = await lookUp(store, shard, wanted, version)
  const document = { kind: 'restore', shard, tablet: alias, backup: backupDocument(found) }
  if (datadir === undefined) {
    if (json) terminal.data(jsonDocument(document))
    else terminal.data(`${alias} would be restored from ${describeBackup(found)}`)
    terminal.note('offline: nothing was asked of the tablet, and nothing is restored. With --data-dir it is.')
    return EXIT.done
  }
  const began = Date.now()
  const stopping = new AbortController()
  const stop = () => stopping.abort(new Interrupted())
  process.once('SIGINT', stop)
  terminal.note(terminal.notePaint.strong(`${alias} from ${describeBackup(found)}`))
  using line = new ProgressLine(terminal, STEP_TITLES.downloadFiles)
  const concurrency = threads ?? config.restore.concurrency
  try {
    const { bytes } = await restoreFromStorage({
      mysqld: mysql.mysqld,
      defaultsFile: mysql.defaultsFile,
      datadir,
      store,
      backup: { name: found.name, manifest: found.manifest, directory: backupDirectory(shard, found.name) },
      concurrency: concurrency === 'cores' ? availableParallelism() : concurrency,
      signal: stopping.signal,
      onProgress: (progress) => line.show(progress),
    })
    const seconds = (Date.now() - began) / 1000
    const { Position: position } = found.manifest
    if (json) terminal.data(jsonDocument({ ...document, result: { datadir, dataBytes: bytes, seconds, position } }))
    else
      terminal.data(
        `${terminal.paint.good('done')}  ${found.name}  ${formatBytes(bytes)}, ${formatDuration(seconds * 1000)}`,
      )
    terminal.note(
      'mysqld is stopped. It will start read-only, and not replicate: docs/operations.md#break-glass has the next steps.',
    )
    return EXIT.done
  } finally {
    process.off('SIGINT', stop)
  }
}
