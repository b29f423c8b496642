import { dataRoots } from '../mysql/data-roots.ts'
import type { ServerLayout } from '../mysql/my-cnf.ts'
import { discardStaging, type SwapPlan } from '../mysql/swap.ts'
import { makeStaging } from '../mysql/swap-folders.ts'

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

/** Deletes what a run staged and did not swap in. */
export async function discardStaged(layout: ServerLayout, run: string): Promise<void> {
  await discardStaging(dataRoots(layout), run)
}
