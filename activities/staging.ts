import { restoreFiles } from '../engine/restore/restore-copy.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { GtidSet } from '../model/gtid-set.ts'
import { parsePosition, positionOf } from '../model/position.ts'
import { readServerState } from '../mysql/admin/server-state.ts'
import { initializeInto } from '../mysql/process/initialize.ts'
import { resetForRestore } from '../mysql/replication/source.ts'
import { prepareStaged } from '../mysql/settings/staged-config.ts'
import { readJournal } from '../mysql/swap/journal.ts'
import { recoverSwap } from '../mysql/swap/recovery.ts'
import { beginSwap, commitSwap, keepSwapped, type SwapPlan } from '../mysql/swap/swap.ts'
import { backupDirectory } from '../storage/catalogue/backup-key.ts'
import { readEntry } from '../storage/catalogue/catalogue.ts'
import { discardStaged, makeStagingRoots, restoreLedgerPath, swapPlan } from '../tablets/staging.ts'
import type { TabletActivities } from './contract.ts'
import { makingRoom } from './making-room.ts'
import { watchForStall } from './stall.ts'
import { assertStillRedundant } from './still-redundant.ts'
import { filesAtOnce, type TabletContext, underLease } from './tablet-context.ts'

type Steps = 'downloadFiles' | 'initializeFiles' | 'swapData' | 'confirmRestore' | 'dropReplaced'

/** New data for a tablet: staged and checked, swapped in, proven, and only then are the old ones dropped. */
export function stagingActivities(context: TabletContext): Pick<TabletActivities, Steps> {
  const { tablet, config, store } = context
  const { driver } = tablet
  return {
    downloadFiles: underLease(context, 'downloadFiles', async (step, { backup, concurrency }, attempt) => {
      // First: mysqld is down already, and a mount that hangs answers nothing at all.
      using stall = watchForStall(step, store.description)
      const layout = await driver.layout()
      const entry = await readEntry(store, driver.shard, backup)
      if (entry.state !== 'complete') {
        throw new TabletkeeperError(
          'CorruptBackup',
          `${backup} of ${driver.shard} is ${entry.state}: nothing is restored from it`,
        )
      }
      const { manifest } = entry
      // It may have hung, and another attempt have staged and swapped since.
      step.signal.throwIfAborted()
      return await makingRoom(step, layout, async () => {
        const roots = await makeStagingRoots(layout, step.lease.token)
        const { bytes } = await restoreFiles({
          manifest,
          store,
          directory: backupDirectory(driver.shard, backup),
          roots,
          ledger: restoreLedgerPath(layout, step.lease.token),
          concurrency: filesAtOnce(concurrency ?? config.restore.concurrency),
          signal: step.signal,
          onProgress: (progress, isSettling) => {
            stall.seen(progress, isSettling)
            attempt.sign(progress)
          },
        })
        step.signal.throwIfAborted()
        const { overridden } = await prepareStaged(roots.Data, layout)
        await step.update({ overridden })
        return { dataBytes: bytes }
      })
    }),

    initializeFiles: underLease(context, 'initializeTablet', async (step, _input, attempt) => {
      attempt.sign({ waitingFor: 'mysqld to initialize an empty server' })
      const layout = await driver.layout()
      await discardStaged(layout, step.lease.token)
      await makingRoom(step, layout, async () => {
        const roots = await makeStagingRoots(layout, step.lease.token)
        await initializeInto(driver.config.mysql.mysqld, layout, roots)
        const { overridden } = await prepareStaged(roots.Data, layout, 'new')
        await step.update({ overridden })
      })
    }),

    swapData: underLease(context, 'swapData', async (step) => {
      if (step.lease.kind === 'backup')
        throw new TabletkeeperError('Refused', `${driver.alias} was taken for a backup: its data are not replaced`)
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

    dropReplaced: underLease(context, 'dropReplaced', async (step, _input, attempt) => {
      const { kind, returnTo, token } = step.lease
      const layout = await driver.layout()
      const { datadir } = layout
      // An attempt that died may have decided it already.
      if ((await readJournal(datadir))?.phase === 'swapped') await assertStillRedundant(context, step, attempt)
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
