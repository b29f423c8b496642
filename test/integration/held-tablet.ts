import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { RunHandle } from '../../client/run-handle.ts'
import type { TabletAlias } from '../../model/alias.ts'
import { isError } from '../../model/errors.ts'
import type { Lease } from '../../model/lease.ts'
import type { BackupInput, BackupResult } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { eventually } from './assertions.ts'
import type { World } from './world.ts'

/** The lease of the run that holds a tablet, as it is on disk. */
export function leaseOf(tablet: SampleTablet): Promise<Lease | undefined> {
  return new LeaseFile(join(tablet.datadir, '.tabletkeeper')).read()
}

/** The steps that take a tablet out of service and back, in their order. */
export const SIX = ['takeOutOfService', 'stopReplication', 'stopMysqld', 'copyFiles', 'startMysqld', 'rejoin'] as const

/** Waits for a step of a backup. One that was over in the milliseconds between two looks is seen as a later one. */
export async function awaitStep(tablet: SampleTablet, step: (typeof SIX)[number]): Promise<void> {
  const wanted: ReadonlySet<string | undefined> = new Set(SIX.slice(SIX.indexOf(step)))
  for (const deadline = Date.now() + 60_000; !wanted.has((await leaseOf(tablet))?.step?.name); await turn()) {
    if (Date.now() > deadline) throw new Error(`step ${step} of ${tablet.alias} was not seen within a minute`)
  }
}

export async function awaitReturned(tablet: SampleTablet): Promise<void> {
  await eventually(
    () => leaseOf(tablet),
    (lease) => lease === undefined,
  )
}

/** Starts a backup; a moment later where one was started in this very second, which is in the ids of runs. */
export async function startBackup(
  world: World,
  alias: TabletAlias,
  input: Partial<BackupInput> = {},
): Promise<RunHandle<BackupResult>> {
  const started: RunHandle<BackupResult>[] = []
  await eventually(
    async () => {
      try {
        started.push(await world.keeper.backup({ ...world.input(alias), ...input }))
      } catch (error) {
        if (!isError(error, 'TabletBusy')) throw error
      }
      return started.length
    },
    (count) => count > 0,
  )
  const [run] = started
  if (run === undefined) throw new Error('no backup was started')
  return run
}

export async function terminate(world: World, run: RunHandle<BackupResult>): Promise<void> {
  await world.client.workflow.getHandle(run.workflowId, run.runId).terminate('tried by a test')
}
