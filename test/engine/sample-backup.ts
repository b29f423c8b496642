import { join } from 'node:path'
import { copyBackup } from '../../engine/backup-copy.ts'
import type { CopiedFile } from '../../engine/copied-file.ts'
import { type CopyHeader, type CopyRecord, readCopyRecord } from '../../engine/copy-ledger.ts'
import { FRAME_SIZE } from '../../engine/frame.ts'
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

/** Of a run that copies. */
export const HEADER: CopyHeader = {
  backup: NAME,
  workflowId: 'backup/commerce/0',
  runId: 'run',
  lsn: '12345',
  snapshot: 'none',
  reading: {
    position: 'MySQL56/',
    purgedPosition: 'MySQL56/',
    serverUuid: '98874b4e-e813-11ef-9cd2-0242ac120002',
    versionString: 'Ver 9.7.4 MySQL Community Server',
    takenAt: '2026-11-24T14:34:46Z',
  },
}

export interface CopyOptions {
  readonly store: ObjectStore
  readonly signal?: AbortSignal
  readonly concurrency?: number
  readonly onProgress?: (progress: Progress) => void
  /** Path; default: a new one. */
  readonly ledger?: string
  readonly header?: CopyHeader
}

export async function copyRecord(files: readonly DataFile[], options: CopyOptions): Promise<CopyRecord> {
  const { store, signal = new AbortController().signal, concurrency = 3, onProgress = () => {} } = options
  const { ledger = join(await temporaryDirectory(), 'ledger'), header = HEADER } = options
  await copyBackup({
    files,
    store,
    directory: DIRECTORY,
    ledger,
    header,
    level: 1,
    concurrency,
    signal,
    onProgress,
  })
  return await readCopyRecord(ledger, NAME)
}

export async function copy(files: readonly DataFile[], options: CopyOptions): Promise<readonly CopiedFile[]> {
  return (await copyRecord(files, options)).files
}

/** The MANIFEST of copied files, with our section or as Vitess would write it. */
export function manifestFor(
  copied: readonly Omit<CopiedFile, 'segmentHash'>[],
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
            Engine: 'frames',
            FrameSize: FRAME_SIZE,
            Files: copied.map((file) => ({
              Size: file.size,
              Stored: file.stored,
              Hash: 'segmentHash' in file && typeof file.segmentHash === 'string' ? file.segmentHash : '',
            })),
            PageCheck: { BadPages: 0, Pages: [] },
            Snapshot: 'none',
            Version: '0.1.0',
            Workflow: 'backup/commerce/0',
            Run: 'run',
            Seconds: 1,
            OutOfServiceSeconds: 1,
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
  const { ledger = join(await temporaryDirectory(), 'ledger') } = options
  const roots = { Data: staging, InnoDBData: staging, InnoDBLog: staging }
  return await restoreFiles({ manifest, store, directory: DIRECTORY, roots, ledger, concurrency, signal, onProgress })
}

export async function newStore(): Promise<{ store: FileStore; root: string }> {
  const root = await temporaryDirectory()
  return { store: new FileStore(root), root }
}
