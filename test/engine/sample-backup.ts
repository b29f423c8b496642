import { join } from 'node:path'
import { copyBackup } from '../../engine/backup-copy.ts'
import type { CopiedFile } from '../../engine/copied-file.ts'
import { restoreFiles } from '../../engine/restore-copy.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { Progress } from '../../model/runs.ts'
import type { DataFile } from '../../mysql/data-directory.ts'
import { backupDirectory } from '../../storage/backup-key.ts'
import { FileStore } from '../../storage/file.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { manifestOf, nameAt, SHARD } from '../storage/sample-backup.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

export const NAME = nameAt('143446')
export const DIRECTORY = backupDirectory(SHARD, NAME)

export interface CopyOptions {
  readonly store: ObjectStore
  readonly signal?: AbortSignal
  readonly concurrency?: number
  readonly onProgress?: (progress: Progress) => void
}

export async function copy(files: readonly DataFile[], options: CopyOptions): Promise<CopiedFile[]> {
  const { store, signal = new AbortController().signal, concurrency = 3, onProgress = () => {} } = options
  return await copyBackup({ files, store, directory: DIRECTORY, level: 1, concurrency, signal, onProgress })
}

/** The MANIFEST of copied files, with our section or as Vitess would write it. */
export function manifestFor(
  copied: readonly CopiedFile[],
  maker: 'tabletkeeper' | 'vitess',
  other: Partial<Manifest> = {},
): Manifest {
  return manifestOf(SHARD, NAME, {
    FileEntries: copied.map(({ base, name, hash }) => ({ Base: base, Name: name, Hash: hash, ParentPath: '' })),
    ...(maker === 'vitess'
      ? {}
      : {
          Tabletkeeper: {
            FormatVersion: 1,
            Engine: 'stream',
            Files: copied.map(({ size, stored }) => ({ Size: size, Stored: stored })),
            Version: '0.1.0',
            Workflow: 'backup/commerce/0',
            Run: 'run',
            Seconds: 1,
          },
        }),
    ...other,
  })
}

/** Restores to one new directory, for all bases. */
export async function restore(manifest: Manifest, options: CopyOptions): Promise<{ staging: string; bytes: number }> {
  const staging = join(await temporaryDirectory(), 'staging')
  return { staging, ...(await restoreTo(staging, manifest, options)) }
}

export async function restoreTo(staging: string, manifest: Manifest, options: CopyOptions): Promise<{ bytes: number }> {
  const { store, signal = new AbortController().signal, concurrency = 3, onProgress = () => {} } = options
  const roots = { Data: staging, InnoDBData: staging, InnoDBLog: staging }
  return await restoreFiles({ manifest, store, directory: DIRECTORY, roots, concurrency, signal, onProgress })
}

export async function newStore(): Promise<{ store: FileStore; root: string }> {
  const root = await temporaryDirectory()
  return { store: new FileStore(root), root }
}
