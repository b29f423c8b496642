import { TabletkeeperError } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import { proveCleanShutdown } from '../mysql/process/clean-shutdown.ts'
import type { ServerLayout } from '../mysql/settings/my-cnf.ts'
import { type FileLock, lockFile } from '../mysql/system/file-lock.ts'
import type { TabletDriver } from './driver.ts'

/** The clean stop that a backup is of, and what was read before it. */
export interface StoppedAt {
  readonly lsn: string
  readonly reading: NonNullable<Lease['reading']>
}

/** @throws FenceBroken when the run that holds the tablet did not stop it */
export function stopOf({ reading, stoppedAt }: Lease, { alias }: TabletDriver): StoppedAt {
  if (reading !== null && stoppedAt !== null) return { lsn: stoppedAt, reading }
  throw new TabletkeeperError('FenceBroken', `${alias} was not stopped by this run: nothing is copied`)
}

/**
 * Takes the lock that a mysqld holds, so that none can start on these files while it is held.
 * @throws FenceBroken when one runs
 */
export async function lockStopped(layout: ServerLayout, { alias }: TabletDriver): Promise<FileLock> {
  const lock = await lockFile(layout.systemTablespace)
  if (lock !== undefined) return lock
  throw new TabletkeeperError(
    'FenceBroken',
    `somebody started mysqld of ${alias} after it was stopped for this backup`,
    {
      hint: 'Find what starts it (systemd, an operator, a supervisor) and keep it from doing so during backups.',
    },
  )
}

/**
 * Proves that files are those of a clean stop: no mysqld has run on them since.
 * @throws FenceBroken
 */
export async function assertStoppedAt(layout: ServerLayout, lsn: string, { alias }: TabletDriver): Promise<void> {
  const proof = await proveCleanShutdown(layout)
  if (proof.clean && String(proof.lsn) === lsn) return
  throw new TabletkeeperError('FenceBroken', `mysqld of ${alias} ran after it was stopped for this backup`, {
    hint: 'Nothing is published. Find what started it and keep it from doing so during backups.',
  })
}
