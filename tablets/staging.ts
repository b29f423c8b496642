import { rm } from 'node:fs/promises'
import { dataRoots } from '../mysql/data/data-roots.ts'
import type { ServerLayout } from '../mysql/settings/my-cnf.ts'
import { makeStaging, stagingFolder } from '../mysql/swap/folders.ts'
import { discardStaging, type SwapPlan } from '../mysql/swap/swap.ts'

/** Where downloaded files wait, by the base that a MANIFEST gives them: inside each data root, since a root may be a mount point. */
export interface StagingRoots {
  readonly Data: string
  readonly InnoDBData: string
  readonly InnoDBLog: string
}

/** Makes the staging folders of a run. `run` is its lease's token. */
export async function makeStagingRoots(layout: ServerLayout, run: string): Promise<StagingRoots> {
  for (const root of dataRoots(layout)) await makeStaging(root.directory, run)
  return {
    Data: await makeStaging(layout.datadir, run),
    InnoDBData: await makeStaging(layout.innodbDataHome, run),
    InnoDBLog: await makeStaging(layout.innodbLogHome, run),
  }
}

export function swapPlan(layout: ServerLayout, run: string): SwapPlan {
  return { run, roots: dataRoots(layout), systemTablespace: layout.systemTablespace }
}

/** Where a run keeps the record of what it has staged, so that an attempt that follows one that died goes on. */
export function restoreLedgerPath(layout: ServerLayout, run: string): string {
  return `${stagingFolder(layout.datadir, run)}.ledger`
}

/** Deletes what a run staged and did not swap in, and its record. */
export async function discardStaged(layout: ServerLayout, run: string): Promise<void> {
  await rm(restoreLedgerPath(layout, run), { force: true })
  await discardStaging(dataRoots(layout), run)
}
