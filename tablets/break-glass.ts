import { realpath } from 'node:fs/promises'
import { restoreFiles } from '../engine/restore-copy.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Progress } from '../model/runs.ts'
import { formatBytes } from '../model/units.ts'
import { emptiness } from '../mysql/data-directory.ts'
import { readServerLayout, type ServerLayout } from '../mysql/my-cnf.ts'
import { prepareStaged } from '../mysql/staged-config.ts'
import { beginSwap, commitSwap } from '../mysql/swap.ts'
import { readJournal } from '../mysql/swap-journal.ts'
import { recoverSwap } from '../mysql/swap-recovery.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { PublishedBackup } from '../storage/published.ts'
import { dataBytesOf, roomFor } from './restore-room.ts'
import { discardStaged, makeStagingRoots, restoreLedgerPath, swapPlan } from './staging.ts'

export interface BreakGlass {
  /** The program and the configuration that mysqld will be started with. */
  readonly mysqld: string
  readonly defaultsFile: string
  /** What whoever asks takes for the data directory: the configuration has to say the same. */
  readonly datadir: string
  readonly store: ObjectStore
  readonly backup: PublishedBackup
  /** Threads. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/**
 * Restores a backup into an empty data directory from storage alone: no Temporal, no agent, no server. The same engine with the same checks
 * as any restore; nothing is in the data directory before all of it is staged and checked. An attempt that died is gone on with by the
 * next one. mysqld stays stopped: it starts read-only and does not replicate, until somebody tells it to.
 * @returns the plain bytes of the files, as far as the backup tells
 * @throws Refused when there is anything in the data directory: nothing is deleted here; InvalidConfig when the configuration names
 *   another one; CorruptBackup, StorageUnavailable and the like, and the signal's reason
 */
export async function restoreOffline(restore: BreakGlass): Promise<{ readonly bytes: number }> {
  const { store, backup, concurrency, signal, onProgress } = restore
  const layout = await readServerLayout(restore.mysqld, restore.defaultsFile)
  await assertSameDirectory(layout, restore.datadir)
  // One for each backup: an attempt that follows goes on with what is staged.
  const run = `offline-${backup.name}`
  // What an attempt that died in mid-swap has moved goes back first.
  if ((await readJournal(layout.datadir))?.run === run) await recoverSwap(layout.datadir)
  await assertEmpty(layout)
  await assertRoom(layout, backup)
  const roots = await makeStagingRoots(layout, run)
  const ledger = restoreLedgerPath(layout, run)
  const { manifest, directory } = backup
  const { bytes } = await restoreFiles({ manifest, store, directory, roots, ledger, concurrency, signal, onProgress })
  await prepareStaged(roots.Data, layout)
  signal.throwIfAborted()
  await beginSwap(swapPlan(layout, run))
  // Nothing was there before: there is nothing to come back.
  await commitSwap(layout.datadir, run)
  await discardStaged(layout, run)
  return { bytes }
}

async function assertSameDirectory({ datadir, defaultsFile }: ServerLayout, asked: string): Promise<void> {
  const real = await realpath(asked).catch((cause: unknown) => {
    throw new TabletkeeperError('InvalidInput', `there is no directory ${asked}`, {
      cause,
      hint: 'Make it, with the owner that mysqld runs as; or mount it, if it is a mount point.',
    })
  })
  if (real === datadir) return
  throw new TabletkeeperError(
    'InvalidConfig',
    `mysqld with ${defaultsFile} has its data in ${datadir}, not in ${asked}`,
    {
      hint: 'Give --data-dir the one that it will run on, or correct datadir there.',
    },
  )
}

async function assertEmpty(layout: ServerLayout): Promise<void> {
  if ((await emptiness(layout)) === 'empty') return
  throw new TabletkeeperError('Refused', `${layout.datadir} is not empty: an offline restore replaces nothing`, {
    hint: 'Stop the mysqld that uses it, and move what is in it (not .tabletkeeper) to another directory of the same disk.',
  })
}

async function assertRoom({ datadir }: ServerLayout, { manifest }: PublishedBackup): Promise<void> {
  const bytes = dataBytesOf(manifest)
  const { suffices, free } = await roomFor(bytes, datadir)
  if (suffices) return
  throw new TabletkeeperError(
    'Refused',
    `${formatBytes(bytes)} are needed in ${datadir}, ${formatBytes(free)} are free`,
    {
      hint: 'Make room, then type the same again: what is staged there already is not read again.',
    },
  )
}
