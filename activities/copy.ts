import { type BackupCopy, copyBackup } from '../engine/backup/backup-copy.ts'
import { readCopyRecord } from '../engine/ledger/copy-ledger.ts'
import type { BackupName } from '../model/backup-name.ts'
import type { SnapshotMode } from '../model/runs.ts'
import { selectFiles } from '../mysql/data/data-directory.ts'
import { backupDirectory } from '../storage/catalogue/backup-key.ts'
import { copyLedgerPath } from '../tablets/copy-ledger-path.ts'
import type { Work } from '../tablets/sole-work.ts'
import { assertStoppedAt, lockStopped, type StoppedAt, stopOf } from '../tablets/stop-fence.ts'
import type { Attempt } from './activity.ts'
import { reportBadPages } from './bad-pages.ts'
import type { CopySummary, TabletActivities } from './contract.ts'
import { watchForStall } from './stall.ts'
import { filesAtOnce, onTablet, type TabletContext, underLease } from './tablet-context.ts'

/** While the tablet serves, its own work goes first. */
const GOOD_NEIGHBOUR = 10

interface Copy extends Pick<BackupCopy, 'files' | 'nice' | 'fence'> {
  readonly backup: BackupName
  readonly snapshot: SnapshotMode
  readonly stop: StoppedAt
  readonly concurrency: number | undefined
}

/** Step 4: the files of one cleanly stopped mysqld go to storage, from where they are or from a clone. */
export function copyActivities(context: TabletContext): Pick<TabletActivities, 'copyFiles' | 'uploadFiles'> {
  const { tablet, clones } = context
  const { driver } = tablet
  return {
    copyFiles: underLease(context, 'copyFiles', async (step, { backup, concurrency }, attempt) => {
      const layout = await driver.layout()
      const stop = stopOf(step.lease, driver)
      step.holds(await lockStopped(layout, driver))
      const fence = () => assertStoppedAt(layout, stop.lsn, driver)
      await fence()
      const files = await selectFiles(layout)
      return await copyToStorage(context, step, attempt, { files, fence, backup, snapshot: 'none', stop, concurrency })
    }),

    uploadFiles: onTablet(context, async (attempt, { token, backup, concurrency }) =>
      clones.copyFrom({ token, runId: attempt.runId }, attempt.signal, async ({ record, layout, files }, work) => {
        const stop = record.made
        const fence = () => assertStoppedAt(layout, stop.lsn, driver)
        const copy = { files, fence, backup, snapshot: 'reflink', stop, concurrency, nice: GOOD_NEIGHBOUR } as const
        return await copyToStorage(context, work, attempt, copy)
      }),
    ),
  }
}

async function copyToStorage(
  context: TabletContext,
  work: Pick<Work, 'signal' | 'giveUp'>,
  attempt: Attempt,
  { backup, snapshot, stop, concurrency, ...copy }: Copy,
): Promise<CopySummary> {
  const { tablet, config, store } = context
  const { datadir } = await tablet.driver.layout()
  const ledger = copyLedgerPath(datadir, backup)
  const { workflowId, runId } = attempt
  using stall = watchForStall(work, store.description)
  const { maxRate } = config.backup
  const totals = await copyBackup({
    ...copy,
    store,
    directory: backupDirectory(tablet.driver.shard, backup),
    ledger,
    header: { backup, workflowId, runId, lsn: stop.lsn, snapshot, reading: stop.reading },
    level: config.backup.level,
    maxRate: maxRate === 'none' ? undefined : maxRate,
    concurrency: filesAtOnce(concurrency ?? config.backup.concurrency),
    signal: work.signal,
    onProgress: (progress, isSettling) => {
      stall.seen(progress, isSettling)
      attempt.sign(progress)
    },
  })
  if (totals.badPages === 0) return { ...totals, firstBadPages: [] }
  return { ...totals, firstBadPages: reportBadPages(await readCopyRecord(ledger, backup), tablet.log) }
}
