import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BackupName } from '../model/backup-name.ts'

/** Where a tablet's agent keeps the record of what a backup has copied (`engine/copy-ledger.ts`), until it is published. */
export function copyLedgerPath(leasePath: string, backup: BackupName): string {
  return join(dirname(leasePath), 'copies', `${backup}.ledger`)
}

export async function removeCopyLedger(leasePath: string, backup: BackupName): Promise<void> {
  await rm(copyLedgerPath(leasePath, backup), { force: true })
}
