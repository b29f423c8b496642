import { realpath, stat } from 'node:fs/promises'
import { restoreFiles } from '../engine/restore/restore-copy.ts'
import type { TabletAlias } from '../model/alias.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import type { Progress } from '../model/runs.ts'
import { formatBytes } from '../model/units.ts'
import { emptiness } from '../mysql/data/data-directory.ts'
import { privateFolder, privateFolderPath } from '../mysql/data/private-folder.ts'
import { readServerLayout, type ServerLayout } from '../mysql/settings/my-cnf.ts'
import { prepareStaged } from '../mysql/settings/staged-config.ts'
import { stagingFolder } from '../mysql/swap/folders.ts'
import { readJournal } from '../mysql/swap/journal.ts'
import { recoverSwap } from '../mysql/swap/recovery.ts'
import { beginSwap, commitSwap } from '../mysql/swap/swap.ts'
import type { FileLock } from '../mysql/system/file-lock.ts'
import { orMissing } from '../mysql/system/system-error.ts'
import type { PublishedBackup } from '../storage/catalogue/published.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { lastAgent, lockAsAgent } from './agent-lock.ts'
import { LeaseFile } from './lease-file.ts'
import { dataBytesOf, occupiedBytes, roomFor } from './restore-room.ts'
import { recordReturn } from './return-record.ts'
import { discardStaged, makeStagingRoots, restoreLedgerPath, swapPlan } from './staging.ts'

export interface BreakGlass {
  readonly alias: TabletAlias
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

export interface RestoredOffline {
  /** Plain bytes of the files, as far as the backup tells. */
  readonly bytes: number
  /** The run that held the tablet whose data were here before: its lease is gone with them. */
  readonly endedRun: string | undefined
}

/**
 * Restores a backup into an empty data directory from storage alone: no Temporal, no agent, no server. The same engine with the same checks
 * as any restore; nothing is in the data directory before all of it is staged and checked. An attempt that died is gone on with by the
 * next one. mysqld stays stopped: it starts read-only and does not replicate, until somebody tells it to. No agent acts there meanwhile, nor
 * afterwards by a lease that was left there.
 * @throws Refused when there is anything in the data directory: nothing is deleted here; or when an agent looks after it; InvalidConfig when
 *   the configuration names another one; CorruptBackup, StorageUnavailable and the like, and the signal's reason
 */
export async function restoreOffline(restore: BreakGlass): Promise<RestoredOffline> {
  const { store, backup, concurrency, signal, onProgress } = restore
  const layout = await readServerLayout(restore.mysqld, restore.defaultsFile)
  await assertSameDirectory(layout, restore.datadir)
  // One for each backup: an attempt that follows goes on with what is staged.
  const run = `offline-${backup.name}`
  await using _ = await keepAgentsAway(layout, restore.alias)
  await recoverOwnSwap(layout, run)
  await assertEmpty(layout)
  const lease = await new LeaseFile(privateFolderPath(layout.datadir)).read()
  if (lease !== undefined) await discardStaged(layout, lease.token)
  await assertRoom(layout, backup, run)
  const roots = await makeStagingRoots(layout, run)
  const ledger = restoreLedgerPath(layout, run)
  const { manifest, directory } = backup
  const { bytes } = await restoreFiles({ manifest, store, directory, roots, ledger, concurrency, signal, onProgress })
  await prepareStaged(roots.Data, layout)
  signal.throwIfAborted()
  // Not sooner: until here whoever moved the old data away may move them back. Not later: no agent finds it beside the new ones.
  if (lease !== undefined) await endLease(layout, lease)
  await beginSwap(swapPlan(layout, run))
  // Nothing was there before: there is nothing to come back.
  await commitSwap(layout.datadir, run)
  await discardStaged(layout, run)
  return { bytes, endedRun: lease?.workflowId }
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

/** Where nothing of ours is, no agent is either, and nothing is made before the directory is known to be empty. */
async function keepAgentsAway(layout: ServerLayout, alias: TabletAlias): Promise<FileLock> {
  const { datadir } = layout
  if ((await orMissing(stat(privateFolderPath(datadir)))) === undefined) await assertEmpty(layout)
  const folder = await privateFolder(datadir)
  const lock = await lockAsAgent(folder, alias)
  if (lock !== undefined) return lock
  const { pid } = (await lastAgent(folder)) ?? { pid: 'unknown' }
  throw new TabletkeeperError('Refused', `an agent (pid ${pid}) looks after ${datadir}, or another restore fills it`, {
    hint: 'Nothing was changed. systemctl stop tabletkeeper-agent, and start it when the restore is done.',
  })
}

/** What an attempt that died in mid-swap has moved goes back first. What another run's swap has moved is looked at by a person. */
async function recoverOwnSwap({ datadir }: ServerLayout, run: string): Promise<void> {
  const journal = await readJournal(datadir)
  if (journal === undefined) return
  if (journal.run === run) {
    await recoverSwap(datadir)
    return
  }
  const folder = privateFolderPath(datadir)
  throw new TabletkeeperError('Refused', `a restore ended half-way in ${datadir}: ${folder} may hold its old data`, {
    hint: `Nothing was changed. Move ${folder} to where you moved the data, then type the same again.`,
  })
}

/** The run finds that its tablet was taken from it; left, its lease would have the agent apply old settings to the restored data. */
async function endLease({ datadir }: ServerLayout, { token }: Lease): Promise<void> {
  const file = new LeaseFile(privateFolderPath(datadir))
  const details = ['its data were moved away, and a backup was restored without Temporal']
  await recordReturn(file.path, { token, by: 'person', at: new Date().toISOString(), details })
  await file.remove()
}

async function assertEmpty(layout: ServerLayout): Promise<void> {
  if ((await emptiness(layout)) === 'empty') return
  throw new TabletkeeperError('Refused', `${layout.datadir} is not empty: an offline restore replaces nothing`, {
    hint: 'Stop the mysqld that uses it, and move what is in it (not .tabletkeeper) to another directory of the same disk.',
  })
}

/** An attempt that died has taken some of the room already. */
async function assertRoom({ datadir }: ServerLayout, { manifest }: PublishedBackup, run: string): Promise<void> {
  const bytes = Math.max(0, dataBytesOf(manifest) - (await occupiedBytes(stagingFolder(datadir, run))))
  const { suffices, free } = await roomFor(bytes, datadir)
  if (suffices) return
  throw new TabletkeeperError(
    'Refused',
    `${formatBytes(bytes)} more are needed in ${datadir}, ${formatBytes(free)} are free`,
    {
      hint: 'Make room, then type the same again: what is staged there already is not read again.',
    },
  )
}
