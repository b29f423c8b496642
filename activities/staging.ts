import { restoreFiles } from '../engine/restore-copy.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { GtidSet } from '../model/gtid-set.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { initializeInto } from '../mysql/initialize.ts'
import { resetForRestore } from '../mysql/replication-source.ts'
import { readServerState } from '../mysql/server-state.ts'
import { prepareStaged } from '../mysql/staged-config.ts'
import { beginSwap, commitSwap } from '../mysql/swap.ts'
import { backupDirectory } from '../storage/backup-key.ts'
import { readEntry } from '../storage/catalogue.ts'
import { discardStaged, makeStagingRoots, swapPlan } from '../tablets/staging.ts'
import type { TabletActivities } from './contract.ts'
import { watchForStall } from './stall.ts'
import { filesAtOnce, type TabletContext, underLease } from './tablet-context.ts'

type Steps = 'downloadFiles' | 'initializeFiles' | 'swapData' | 'confirmRestore' | 'dropReplaced'

/** New data for a tablet: staged and checked, swapped in, proven, and only then are the old ones dropped. */
export function stagingActivities(context: TabletContext): Pick<TabletActivities, Steps> {
  const { tablet, config, store } = context
  const { driver } = tablet
  return {
    downloadFiles: underLease(context, 'downloadFiles', async (step, { backup, concurrency }, attempt) => {
      const layout = await driver.layout()
      const entry = await readEntry(store, driver.shard, backup)
      if (entry.state !== 'complete') {
        throw new TabletkeeperError(
          'CorruptBackup',
          `${backup} of ${driver.shard} is ${entry.state}: nothing is restored from it`,
        )
      }
      await discardStaged(layout, step.lease.token)
      const roots = await makeStagingRoots(layout, step.lease.token)
      using stall = watchForStall(step, store.description)
      const { bytes } = await restoreFiles({
        manifest: entry.manifest,
        store,
        directory: backupDirectory(driver.shard, backup),
        roots,
        concurrency: filesAtOnce(concurrency ?? config.restore.concurrency),
        signal: step.signal,
        onProgress: (progress) => {
          stall.seen(progress.bytesDone)
          attempt.sign(progress)
        },
      })
      await prepareStaged(roots.Data, layout)
      return { dataBytes: bytes }
    }),

    initializeFiles: underLease(context, 'initializeTablet', async (step, _input, attempt) => {
      attempt.sign({ waitingFor: 'mysqld to initialize an empty server' })
      const layout = await driver.layout()
      await discardStaged(layout, step.lease.token)
      const roots = await makeStagingRoots(layout, step.lease.token)
      await initializeInto(driver.config.mysql.mysqld, layout, roots)
      await prepareStaged(roots.Data, layout)
    }),

    swapData: underLease(context, 'swapData', async (step) => {
      await beginSwap(swapPlan(await driver.layout(), step.lease.token))
    }),

    confirmRestore: underLease(context, 'confirmRestore', async (step, { position, type }) => {
      const expected = position === null ? GtidSet.EMPTY : parsePosition(position)
      await using connection = await driver.connect()
      const { gtidExecuted } = await readServerState(connection)
      // An attempt that was repeated finds the reset done; replication has not run in between.
      if (!gtidExecuted.equals(expected)) {
        throw new TabletkeeperError(
          'CorruptBackup',
          `the restored data of ${driver.alias} stand at ${positionOf(gtidExecuted)}, the backup says ${position ?? 'nothing executed'}`,
          { hint: 'The old data come back. Restore another backup.' },
        )
      }
      await resetForRestore(connection, expected)
      if (step.lease.kind === 'bootstrap' && (type === 'REPLICA' || type === 'RDONLY')) await context.keepType(type)
      await step.update({ returnTo: type })
    }),

    dropReplaced: underLease(context, 'dropReplaced', async (step) => {
      // From here a return keeps the new data, and their mysqld must run.
      await step.update({ mysqldRan: true, captured: null })
      await commitSwap((await driver.layout()).datadir, step.lease.token)
    }),
  }
}
