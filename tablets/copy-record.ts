import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { BackupName } from '../model/backup-name.ts'
import { messageOf, TabletkeeperError } from '../model/errors.ts'

const recordSchema = z.object({
  backup: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  reading: z.object({
    position: z.string(),
    purgedPosition: z.string(),
    serverUuid: z.string(),
    versionString: z.string(),
    takenAt: z.iso.datetime(),
  }),
  /** In the order of their objects: 0, 1, … */
  files: z.array(
    z.object({
      base: z.enum(['Data', 'InnoDBData', 'InnoDBLog']),
      name: z.string(),
      hash: z.string(),
      size: z.int(),
      stored: z.int(),
    }),
  ),
  finishedAt: z.iso.datetime(),
})

/** What was copied, kept on the host until it is published: lists of files never pass through Temporal. */
export type CopyRecord = z.infer<typeof recordSchema>

const pathOf = (leasePath: string, backup: BackupName): string => join(dirname(leasePath), 'copies', `${backup}.json`)

/** Durable when it resolves. */
export async function writeCopyRecord(
  leasePath: string,
  record: Omit<CopyRecord, 'backup'> & { readonly backup: BackupName },
): Promise<void> {
  const path = pathOf(leasePath, record.backup)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify(record))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

/** @throws FenceBroken when this host has no whole record of that copy */
export async function readCopyRecord(leasePath: string, backup: BackupName): Promise<CopyRecord> {
  const path = pathOf(leasePath, backup)
  try {
    return recordSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    throw new TabletkeeperError(
      'FenceBroken',
      `the record of what ${backup} copied cannot be read: ${messageOf(cause)}`,
      {
        cause,
        hint: 'Nothing is published. Start another backup.',
      },
    )
  }
}

export async function removeCopyRecord(leasePath: string, backup: BackupName): Promise<void> {
  await rm(pathOf(leasePath, backup), { force: true })
}
