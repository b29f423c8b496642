import { restoreFiles } from '../engine/restore-copy.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { GtidSet } from '../model/gtid-set.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { initializeInto } from '../mysql/initialize.ts'
import { resetForRestore } from '../mysql/replication-source.ts'
import { readServerState } from '../mysql/server-state.ts'
import { prepareStaged } from '../mysql/staged-config.ts'
import { beginSwap, commitSwap, keepSwapped, type SwapPlan } from '../mysql/swap.ts'
import { readJournal } from '../mysql/swap-journal.ts'
import { recoverSwap } from '../mysql/swap-recovery.ts'
import { backupDirectory } from '../storage/backup-key.ts'
import { readEntry } from '../storage/catalogue.ts'
import { discardStaged, makeStagingRoots, restoreLedgerPath, swapPlan } from '../tablets/staging.ts'
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
      const roots = await makeStagingRoots(layout, step.lease.token)
      using stall = watchForStall(step, store.description)
      const { bytes } = await restoreFiles({
        manifest: entry.manifest,
        store,
        directory: backupDirectory(driver.shard, backup),
        roots,
        ledger: restoreLedgerPath(layout, step.lease.token),
        concurrency: filesAtOnce(concurrency ?? config.restore.concurrency),
        signal: step.signal,
        onProgress: (progress) => {
          stall.seen(progress.bytesDone)
          attempt.sign(progress)
        },
      })
      const { overridden } = await prepareStaged(roots.Data, layout)
      await step.update({ overridden })
      return { dataBytes: bytes }
    }),

    initializeFiles: underLease(context, 'initializeTablet', async (step, _input, attempt) => {
      attempt.sign({ waitingFor: 'mysqld to initialize an empty server' })
      const layout = await driver.layout()
      await discardStaged(layout, step.lease.token)
      const roots = await makeStagingRoots(layout, step.lease.token)
      await initializeInto(driver.config.mysql.mysqld, layout, roots)
      const { overridden } = await prepareStaged(roots.Data, layout, 'new')
      await step.update({ overridden })
    }),

    swapData: underLease(context, 'swapData', async (step) => {
      const plan = swapPlan(await driver.layout(), step.lease.token)
      await undoHalfSwap(plan)
      await beginSwap(plan)
    }),

    confirmRestore: underLease(context, 'confirmRestore', async (step, { position, type }) => {
      const expected = position === null ? GtidSet.EMPTY : parsePosition(position)
      await using connection = await driver.connect()
      const { gtidExecuted } = await readServerState(connection)
      // An attempt that was repeated may find the reset begun or done; replication has not run in between.
      const isBeingReset = step.lease.proven && gtidExecuted.isEmpty
      if (!isBeingReset && !gtidExecuted.equals(expected)) {
        throw new TabletkeeperError(
          'CorruptBackup',
          `the restored data of ${driver.alias} stand at ${positionOf(gtidExecuted)}, the backup says ${position ?? 'nothing executed'}`,
          { hint: 'The old data come back. Restore another backup.' },
        )
      }
      await step.update({ proven: true })
      await resetForRestore(connection, expected)
      await step.update({ returnTo: type })
    }),

    dropReplaced: underLease(context, 'dropReplaced', async (step) => {
      const { kind, returnTo, token } = step.lease
      const layout = await driver.layout()
      const { datadir } = layout
      if (kind === 'bootstrap' && (returnTo === 'REPLICA' || returnTo === 'RDONLY')) await context.keepType(returnTo)
      // From here a return keeps the new data, and their mysqld must run. In this order: old data that come back are as they were.
      await keepSwapped(datadir, token)
      await step.update({ mysqldRan: true })
      await commitSwap(datadir, token)
      await discardStaged(layout, token)
    }),
  }
}

/** What an attempt that died in mid-swap has moved goes back first: the staged data are whole then, and can be swapped in again. */
async function undoHalfSwap({ roots: [data], run }: SwapPlan): Promise<void> {
  if (data === undefined) return
  const journal = await readJournal(data.directory)
  if (journal?.run === run && journal.phase === 'swapping') await recoverSwap(data.directory)
}
