import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { canCloneInto, canReflink } from '../engine/backup/snapshot.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { SnapshotMode, Warning } from '../model/runs.ts'
import { cloneRoots, rootOf } from '../mysql/data/clone-folders.ts'
import type { DataFile } from '../mysql/data/data-directory.ts'
import type { ServerLayout } from '../mysql/settings/my-cnf.ts'
import { orMissing } from '../mysql/system/system-error.ts'
import { lackOfRoom } from '../tablets/clone-room.ts'
import { refused } from './refusal.ts'
import type { TabletContext } from './tablet-context.ts'

export interface SnapshotPlan {
  readonly snapshot: SnapshotMode
  readonly warnings: readonly Warning[]
}

/**
 * Decides whether a backup is copied from a clone (`backup.snapshot`), by cloning a probe and a file of each directory.
 * @throws Refused when it has to be and cannot be
 */
export async function planSnapshot(context: TabletContext, files: readonly DataFile[]): Promise<SnapshotPlan> {
  const { snapshot } = context.config.backup
  if (snapshot === 'none') return { snapshot, warnings: [] }
  const layout = await context.tablet.driver.layout()
  const obstacle = await obstacleTo(layout, files)
  if (obstacle !== undefined) {
    if (snapshot === 'auto') return { snapshot: 'none', warnings: [] }
    throw refused(
      context,
      `cannot be backed up from a clone: ${obstacle}`,
      'Its data have to be where files can be cloned: XFS made with reflink=1, or Btrfs. Or set backup.snapshot: auto.',
    )
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const lack = await lackOfRoom(cloneRoots(layout), bytes)
  if (lack === undefined) return { snapshot: 'reflink', warnings: [] }
  if (snapshot === 'reflink') throw refused(context, `cannot be backed up from a clone: ${lack}`, 'Make room.')
  const message = `not made, so mysqld is down for the whole copy: ${lack}`
  return { snapshot: 'none', warnings: [{ about: 'snapshot', message, hint: 'Make room.' }] }
}

/**
 * A backup that copies from a clone is under way until that is dropped, though its tablet serves again.
 * @throws TabletBusy naming its run
 */
export async function assertNoClone({ tablet, clones, runState, workflowGone }: TabletContext): Promise<void> {
  for (const clone of await clones.all()) {
    if ((await runState(clone)) === 'closed') {
      workflowGone()
      continue
    }
    throw new TabletkeeperError(
      'TabletBusy',
      `${clone.workflowId} (run ${clone.runId}) still copies ${clone.backup} from a clone of ${tablet.driver.alias}`,
      { hint: `Nothing was changed. Wait for that run: tabletkeeper status ${clone.workflowId} --follow` },
    )
  }
}

/** Why files cannot be cloned into the private folders of their data roots, or undefined. */
async function obstacleTo(layout: ServerLayout, files: readonly DataFile[]): Promise<string | undefined> {
  for (const root of cloneRoots(layout)) {
    if (!(await canReflink(root))) return `${root} is on a file system whose files cannot be cloned`
  }
  // Of each directory one, the smallest: cloning waits for what is to be written to it.
  const samples = new Map<string, DataFile>()
  for (const file of files) {
    const directory = dirname(file.path)
    if (file.size < (samples.get(directory)?.size ?? Number.POSITIVE_INFINITY)) samples.set(directory, file)
  }
  for (const [directory, { path, base }] of samples) {
    const root = rootOf(layout, base)
    const there = await orMissing(stat(directory))
    // A database may be dropped at any time.
    if (there === undefined) continue
    if (there.dev !== (await stat(root)).dev) return `${directory} is on another file system than ${root}`
    if (!(await canCloneInto(root, path)))
      return `${path} cannot be cloned into the private folder of ${root} (on Btrfs: both have to be chattr +C, or neither)`
  }
  return undefined
}
