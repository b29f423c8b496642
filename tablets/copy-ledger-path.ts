import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { copierOf } from '../engine/ledger/copy-ledger.ts'
import { privateFolderPath } from '../mysql/data/private-folder.ts'
import { orMissing } from '../mysql/system/system-error.ts'
import type { RunIdentity } from './run-state.ts'

/** Nobody goes on with a copy, or publishes it, after so long. */
const FORGOTTEN_AFTER = 30 * 86_400_000

/** A copy is published within minutes, or as soon as its store is back. */
const RECENT = 86_400_000

/** Where a tablet's agent keeps the record of what a backup has copied (`engine/ledger/copy-ledger.ts`), until it is published. */
export function copyLedgerPath(datadir: string, backup: string): string {
  return join(copiesFolder(datadir), `${backup}.ledger`)
}

/** Removes the record of a copy that nobody needs any more, and those that runs which failed have left a month ago. */
export async function removeCopyLedger(datadir: string, backup: string): Promise<void> {
  await rm(copyLedgerPath(datadir, backup), { force: true })
  for (const name of (await orMissing(readdir(copiesFolder(datadir)))) ?? []) {
    const path = join(copiesFolder(datadir), name)
    const found = await orMissing(stat(path))
    if (found !== undefined && Date.now() - found.mtimeMs > FORGOTTEN_AFTER) await rm(path, { force: true })
  }
}

/**
 * Runs that have copied on this start of this host and are not known to have published it: their last steps have no other trace here. Runs
 * that failed since yesterday are among them.
 */
export async function recentCopiers(datadir: string): Promise<Pick<RunIdentity, 'workflowId' | 'runId'>[]> {
  const names = (await orMissing(readdir(copiesFolder(datadir)))) ?? []
  const copiers = await Promise.all(
    names.map(async (name) => {
      const path = join(copiesFolder(datadir), name)
      const found = await orMissing(stat(path))
      return found !== undefined && Date.now() - found.mtimeMs < RECENT ? await copierOf(path) : undefined
    }),
  )
  return copiers.filter((copier) => copier !== undefined)
}

function copiesFolder(datadir: string): string {
  return join(privateFolderPath(datadir), 'copies')
}
