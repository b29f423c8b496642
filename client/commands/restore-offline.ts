import type { Config, TabletConfig } from '../../model/config.ts'
import { formatBytes, formatDuration } from '../../model/units.ts'
import { privateFolderPath } from '../../mysql/data/private-folder.ts'
import { programRelease } from '../../mysql/process/mysqld-program.ts'
import { backupDirectory } from '../../storage/catalogue/backup-key.ts'
import { listed } from '../../storage/catalogue/catalogue.ts'
import { openStore } from '../../storage/kinds.ts'
import { restoreOffline as restoreFromStorage } from '../../tablets/break-glass.ts'
import { backupDocument } from '../output/backups.ts'
import { EXIT, Interrupted } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { describeBackup } from '../output/restore-plan.ts'
import { lookUp, type WantedBackup } from '../restore-lookup.ts'
import { doHere } from '../storage-job.ts'
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
  const serverVersion = datadir === undefined ? null : (await programRelease(mysql.mysqld)).banner
  const found = await lookUp(store, shard, wanted, { serverVersion })
  const document = { kind: 'restore', shard, tablet: alias, backup: backupDocument(listed(found)) }
  if (datadir === undefined) {
    if (json) terminal.data(jsonDocument(document))
    else terminal.data(`${alias} would be restored from ${describeBackup(found)}`)
    terminal.note('offline: nothing was asked of the tablet, and nothing is restored. With --data-dir it is.')
    return EXIT.done
  }
  const heading = `${alias} from ${describeBackup(found)}`
  const how = {
    heading,
    step: 'downloadFiles',
    threads: threads ?? config.restore.concurrency,
    interrupted: new Interrupted(
      `the data directory is as it was; what is staged stays in ${privateFolderPath(datadir)}`,
      'The same command goes on from there.',
    ),
  } as const
  const { result, seconds } = await doHere(terminal, how, (job) =>
    restoreFromStorage({
      alias,
      mysqld: mysql.mysqld,
      defaultsFile: mysql.defaultsFile,
      datadir,
      store,
      backup: { name: found.name, manifest: found.manifest, directory: backupDirectory(shard, found.name) },
      ...job,
    }),
  )
  const { bytes, endedRun } = result
  const { Position: position } = found.manifest
  if (json) terminal.data(jsonDocument({ ...document, result: { datadir, dataBytes: bytes, seconds, position } }))
  else
    terminal.data(
      `${terminal.paint.good('done')}  ${found.name}  ${formatBytes(bytes)}, ${formatDuration(seconds * 1000)}`,
    )
  if (endedRun !== undefined)
    terminal.note(`${endedRun} held the tablet whose data were there: its lease is gone, too.`)
  terminal.note(
    'mysqld is stopped. It will start read-only, and not replicate: docs/operations.md#break-glass has the next steps.',
  )
  return EXIT.done
}
