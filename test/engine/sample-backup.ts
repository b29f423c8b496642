import { join } from 'node:path'
import { type BackupCopy, copyBackup } from '../../engine/backup/backup-copy.ts'
import type { CopiedFile } from '../../engine/backup/copied-file.ts'
import { type CopyRecord, readCopyRecord } from '../../engine/ledger/copy-ledger.ts'
import { type RestoreCopy, restoreFiles } from '../../engine/restore/restore-copy.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { FileStore } from '../../storage/file/file.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { DIRECTORY, HEADER, NAME } from './sample-run.ts'

export { DIRECTORY, HEADER, manifestFor, NAME } from './sample-run.ts'

/** What a test has to say of a copy; `ledger` is a path, by default a new one. */
export type CopyOptions = { readonly store: ObjectStore } & Partial<Omit<BackupCopy, 'files' | 'store' | 'directory'>>
type RestoreOptions = { readonly store: ObjectStore } & Partial<
  Pick<RestoreCopy, 'ledger' | 'concurrency' | 'signal' | 'onProgress'>
>

export async function copyRecord(files: readonly DataFile[], options: CopyOptions): Promise<CopyRecord> {
  const ledger = options.ledger ?? join(await temporaryDirectory(), 'ledger')
  await copyBackup({
    directory: DIRECTORY,
    header: HEADER,
    level: 1,
    concurrency: 3,
    signal: new AbortController().signal,
    onProgress: () => {},
    ...options,
    files,
    ledger,
  })
  return await readCopyRecord(ledger, NAME)
}

export async function copy(files: readonly DataFile[], options: CopyOptions): Promise<readonly CopiedFile[]> {
  return (await copyRecord(files, options)).files
}

/** Restores to one new directory, for all bases. */
export async function restore(
  manifest: Manifest,
  options: RestoreOptions,
): Promise<{ staging: string; bytes: number }> {
  const staging = join(await temporaryDirectory(), 'staging')
  return { staging, ...(await restoreTo(staging, manifest, options)) }
}

export async function restoreTo(
  staging: string,
  manifest: Manifest,
  options: RestoreOptions,
): Promise<{ bytes: number }> {
  return await restoreFiles({
    concurrency: 3,
    signal: new AbortController().signal,
    onProgress: () => {},
    ...options,
    manifest,
    directory: DIRECTORY,
    roots: { Data: staging, InnoDBData: staging, InnoDBLog: staging },
    ledger: options.ledger ?? join(await temporaryDirectory(), 'ledger'),
  })
}

export async function newStore(): Promise<{ store: FileStore; root: string }> {
  const root = await temporaryDirectory()
  return { store: new FileStore(root), root }
}
