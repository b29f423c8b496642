import { copyBackup } from '../engine/backup-copy.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { proveCleanShutdown } from '../mysql/clean-shutdown.ts'
import { checkUnchanged, selectFiles } from '../mysql/data-directory.ts'
import { lockFile } from '../mysql/file-lock.ts'
import type { ServerLayout } from '../mysql/my-cnf.ts'
import { backupDirectory } from '../storage/backup-key.ts'
import { writeCopyRecord } from '../tablets/copy-record.ts'
import type { TabletActivities } from './contract.ts'
import { watchForStall } from './stall.ts'
import { filesAtOnce, type TabletContext, underLease } from './tablet-context.ts'

/** Step 4: the files of one cleanly stopped mysqld, which nobody can start meanwhile, go to storage. */
export function copyActivities(context: TabletContext): Pick<TabletActivities, 'copyFiles'> {
  const { tablet, config, store } = context
  const { driver } = tablet
  return {
    copyFiles: underLease(context, 'copyFiles', async (step, { backup, concurrency }, attempt) => {
      const layout = await driver.layout()
      const { reading, stoppedAt } = step.lease
      if (reading === null || stoppedAt === null) {
        throw new TabletkeeperError('FenceBroken', `${driver.alias} was not stopped by this run: nothing is copied`)
      }
      const lock = await lockFile(layout.systemTablespace)
      if (lock === undefined) {
        throw new TabletkeeperError(
          'FenceBroken',
          `somebody started mysqld of ${driver.alias} after it was stopped for ${backup}`,
          {
            hint: 'Find what starts it (systemd, an operator, a supervisor) and keep it from doing so during backups.',
          },
        )
      }
      step.holds(lock)
      using stall = watchForStall(step, store.description)
      await assertStoppedAt(layout, stoppedAt, driver.alias)
      const files = await selectFiles(layout)
      const copied = await copyBackup({
        files,
        store,
        directory: backupDirectory(driver.shard, backup),
        level: config.backup.level,
        concurrency: filesAtOnce(concurrency ?? config.backup.concurrency),
        signal: step.signal,
        onProgress: (progress) => {
          stall.seen(progress.bytesDone)
          attempt.sign(progress)
        },
      })
      await checkUnchanged(files)
      await assertStoppedAt(layout, stoppedAt, driver.alias)
      await writeCopyRecord(tablet.leasePath, {
        backup,
        workflowId: attempt.workflowId,
        runId: attempt.runId,
        reading,
        files: copied,
        finishedAt: new Date().toISOString(),
      })
      return {
        files: copied.length,
        dataBytes: copied.reduce((sum, file) => sum + file.size, 0),
        storedBytes: copied.reduce((sum, file) => sum + file.stored, 0),
      }
    }),
  }
}

/** The files are those of the stop that step 3 proved: no mysqld has run on them since. */
async function assertStoppedAt(layout: ServerLayout, lsn: string, alias: string): Promise<void> {
  const proof = await proveCleanShutdown(layout)
  if (!proof.clean || String(proof.lsn) !== lsn) {
    throw new TabletkeeperError('FenceBroken', `mysqld of ${alias} ran after it was stopped for this backup`, {
      hint: 'Nothing is published. Find what started it and keep it from doing so during backups.',
    })
  }
}
