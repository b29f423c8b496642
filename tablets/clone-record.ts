import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { TabletkeeperError } from '../model/errors.ts'
import { privateFolderPath } from '../mysql/data/private-folder.ts'
import { orMissing } from '../mysql/system/system-error.ts'
import { syncDirectory } from '../storage/file/durable-file.ts'

const recordSchema = z.strictObject({
  version: z.literal(1),
  /** Of the lease under which it was made: names the folders. */
  token: z.string(),
  namespace: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  backup: z.string(),
  since: z.iso.datetime(),
  /** The data roots that have a part of it. */
  roots: z.array(z.string()),
  /** Null until it is whole and proven. */
  made: z
    .object({
      at: z.iso.datetime(),
      /** The log sequence number of the proven clean stop that it is of. */
      lsn: z.string().regex(/^\d+$/),
      /** What step 2 read. */
      reading: z.object({
        position: z.string(),
        purgedPosition: z.string(),
        serverUuid: z.string(),
        versionString: z.string(),
        takenAt: z.iso.datetime(),
      }),
      files: z.int(),
      bytes: z.int(),
      /** SHA-256 over the names and sizes of the files (`listDigest`). */
      list: z.string(),
    })
    .nullable(),
})

/**
 * Whose a clone of a tablet's files is, and of what: `clone-<token>.json` in the private folder of the data directory. It is there before
 * the first folder of the clone and until the last one is gone. Roots are absolute here.
 *
 *   (none) ──prepare──▶ prepared ──make──▶ made ──drop, giveUp──▶ (none)
 *                          └───────────drop──────────────────────▶
 *
 * Only a clone that is made is copied from. Nobody but its run needs it: it is dropped when that is closed, however, and given up when
 * the file system that it is on runs full.
 */
export type CloneRecord = z.infer<typeof recordSchema>

/** A clone that is whole and proven. */
export type MadeClone = CloneRecord & { readonly made: NonNullable<CloneRecord['made']> }

export function isMade(record: CloneRecord): record is MadeClone {
  return record.made !== null
}

const NAME = /^clone-([A-Za-z0-9._-]+)\.json$/

const pathOf = (datadir: string, token: string): string => join(privateFolderPath(datadir), `clone-${token}.json`)

/** Durable when it resolves; a reader sees the record before it or this one. */
export async function writeCloneRecord(datadir: string, record: CloneRecord): Promise<void> {
  const path = pathOf(datadir, record.token)
  // The data directory moves with its volume: its own paths are kept relative.
  const kept = (root: string) => (root.startsWith(join(datadir, '/')) ? root.slice(datadir.length + 1) : root)
  const roots = record.roots.map((root) => (root === datadir ? '.' : kept(root)))
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify({ ...record, roots }, null, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncDirectory(privateFolderPath(datadir))
}

/** @throws FenceBroken when there is a record that cannot be read */
export async function readCloneRecord(datadir: string, token: string): Promise<CloneRecord | undefined> {
  const path = pathOf(datadir, token)
  const text = await orMissing(readFile(path, 'utf8'))
  if (text === undefined) return undefined
  try {
    const record = recordSchema.parse(JSON.parse(text))
    return { ...record, roots: record.roots.map((root) => resolve(datadir, root)) }
  } catch (cause) {
    throw new TabletkeeperError('FenceBroken', `the record ${path} of a clone cannot be read`, {
      cause,
      hint: 'When no backup of this tablet is under way, remove it, and the folder clone-… beside it.',
    })
  }
}

/** The tokens of all clones of a tablet, whole or not. */
export async function cloneTokens(datadir: string): Promise<string[]> {
  const names = (await orMissing(readdir(privateFolderPath(datadir)))) ?? []
  return names.flatMap((name) => NAME.exec(name)?.[1] ?? [])
}

/** Durable when it resolves. Nothing there is no error. */
export async function removeCloneRecord(datadir: string, token: string): Promise<void> {
  await rm(`${pathOf(datadir, token)}.new`, { force: true })
  await rm(pathOf(datadir, token), { force: true })
  await syncDirectory(privateFolderPath(datadir))
}
