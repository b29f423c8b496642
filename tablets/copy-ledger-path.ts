import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { privateFolderPath } from '../mysql/data/private-folder.ts'
import { orMissing } from '../mysql/system/system-error.ts'

/** Nobody goes on with a copy, or publishes it, after so long. */
const FORGOTTEN_AFTER = 30 * 86_400_000

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

function copiesFolder(datadir: string): string {
  return join(privateFolderPath(datadir), 'copies')
}
