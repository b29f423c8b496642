import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { canReflink } from '../engine/snapshot.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { SnapshotMode, Warning } from '../model/runs.ts'
import { cloneRoots, rootOf } from '../mysql/clone-folders.ts'
import type { DataFile } from '../mysql/data-directory.ts'
import type { ServerLayout } from '../mysql/my-cnf.ts'
import { lackOfRoom } from './clone-room.ts'
import type { TabletContext } from './tablet-context.ts'

export interface SnapshotPlan {
  readonly snapshot: SnapshotMode
  readonly warnings: readonly Warning[]
}

/**
 * Decides whether a backup is copied from a clone (`backup.snapshot`), by making one of a probe file.
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
      obstacle,
      'Its data have to be on XFS (made with reflink=1) or Btrfs; or set backup.snapshot: auto.',
    )
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const lack = await lackOfRoom(cloneRoots(layout), bytes)
  if (lack === undefined) return { snapshot: 'reflink', warnings: [] }
  if (snapshot === 'reflink') throw refused(context, lack, 'Make room.')
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
  const devices = new Map<string, number>()
  const deviceOf = async (directory: string): Promise<number> => {
    const device = devices.get(directory) ?? (await stat(directory)).dev
    devices.set(directory, device)
    return device
  }
  for (const { base, path } of files) {
    const [directory, root] = [dirname(path), rootOf(layout, base)]
    if ((await deviceOf(directory)) !== (await deviceOf(root)))
      return `${directory} is on another file system than ${root}`
  }
  return undefined
}

function refused(context: TabletContext, why: string, hint: string): TabletkeeperError {
  return new TabletkeeperError('Refused', `${context.tablet.driver.alias} cannot be backed up from a clone: ${why}`, {
    hint: `Nothing was changed. ${hint}`,
  })
}
