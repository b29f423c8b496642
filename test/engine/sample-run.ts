import type { CopiedFile } from '../../engine/backup/copied-file.ts'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import type { CopyHeader } from '../../engine/ledger/copy-ledger.ts'
import type { Manifest } from '../../model/manifest.ts'
import { backupDirectory } from '../../storage/catalogue/backup-key.ts'
import { manifestOf, nameAt, SHARD } from '../storage/sample-backup.ts'

// Also for programs that tests start: nothing here is of vitest.

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
