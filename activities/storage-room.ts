import { statfs } from 'node:fs/promises'
import { isError } from '../model/errors.ts'
import type { Warning } from '../model/runs.ts'
import type { ShardName } from '../model/shard-name.ts'
import { formatBytes } from '../model/units.ts'
import { type CompleteBackup, readBackup } from '../storage/catalogue/catalogue.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { refused } from './refusal.ts'
import type { TabletContext } from './tablet-context.ts'

/**
 * Looks whether storage has room for another backup, where it is a file system and the shard has a backup to judge by: the tablet would be
 * out of service for nothing.
 * @returns a warning when it has less than the newest backup takes
 * @throws Refused when it has less than half of that: no table is dropped that fast
 */
export async function judgeStorageRoom(context: TabletContext): Promise<Warning[]> {
  const { config, store, tablet } = context
  if (config.storage.kind !== 'file') return []
  const { root } = config.storage
  const newest = await newestBackup(store, tablet.driver.shard)
  const takes = newest?.manifest.Tabletkeeper?.Files.reduce((sum, file) => sum + file.Stored, 0)
  if (takes === undefined) return []
  const { bavail, bsize } = await statfs(root)
  const free = bavail * bsize
  if (free >= takes) return []
  const message = `${formatBytes(free)} are free in ${root}, and ${newest?.name} takes ${formatBytes(takes)}`
  const hint = 'Remove backups that are not needed: tabletkeeper remove.'
  if (free < takes / 2) throw refused(context, `has no room for its backup: ${message}`, hint)
  return [{ about: 'storage', message, hint }]
}

async function newestBackup(store: ObjectStore, shard: ShardName): Promise<CompleteBackup | undefined> {
  if ((await store.repository()).state === 'new') return undefined
  try {
    const entry = await readBackup(store, shard, 'latest')
    return entry.state === 'complete' ? entry : undefined
  } catch (error) {
    if (isError(error, 'NotFound', 'CorruptBackup')) return undefined
    throw error
  }
}
