import { CancellationScope, CancelledFailure } from '@temporalio/workflow'
import type { FoundBackup, Rejoined, RestorePlan } from '../activities/contract.ts'
import { downloadDetail, drainDetail, rejoinDetail } from './details.ts'
import type { TabletAgent } from './options.ts'
import type { Run } from './run.ts'

export interface RestoredTablet extends Pick<Rejoined, 'type' | 'lagSeconds'> {
  readonly dataBytes: number
}

interface HowToDownload {
  /** By how long storage that is away is waited for. */
  readonly downloading: Pick<TabletAgent['steps'], 'downloadFiles'>
  readonly concurrency: number | undefined
}

/**
 * The steps from a tablet in any state to one with the backup's data that replicates: what `restore` and `bootstrap` share.
 * Until the data are proven the old ones lie aside and come back on any failure.
 */
export async function restoreTablet(
  run: Run,
  agent: TabletAgent,
  backup: FoundBackup,
  plan: RestorePlan,
  { downloading, concurrency }: HowToDownload,
): Promise<RestoredTablet> {
  const { steps } = agent
  return await run.holding(agent, {}, async ({ token }) => {
    await run.step('takeOutOfService', () => steps.takeOutOfService({ token, type: 'RESTORE' }), drainDetail)
    await run.step('stopMysqld', () => steps.stopMysqld({ token }))
    let dataBytes = 0
    if (backup.found) {
      const download = () => downloading.downloadFiles({ token, backup: backup.backup, concurrency })
      dataBytes = (await run.step('downloadFiles', download, downloadDetail)).dataBytes
    } else {
      await run.step('initializeTablet', () => steps.initializeFiles({ token }))
    }
    // A cancelled run stops before the swap or after the tablet serves, not in between: going on is the shorter way back. A download may
    // have ended well before it heard of it.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled before the swap')
    const back = await CancellationScope.nonCancellable(async () => {
      await run.step('swapData', () => steps.swapData({ token }))
      await run.step('startMysqld', () => steps.startMysqld({ token, on: 'restored data' }))
      const position = backup.found ? backup.position : null
      await run.step(
        'confirmRestore',
        () => steps.confirmRestore({ token, position, type: plan.type }),
        () => position ?? 'empty',
      )
      const rejoined = await run.step('rejoin', () => steps.rejoin({ token, after: 'restore' }), rejoinDetail)
      await run.step('dropReplaced', () => steps.dropReplaced({ token }))
      await run.step('releaseTablet', () => steps.releaseTablet({ token }))
      return rejoined
    })
    return { dataBytes, type: back.type, lagSeconds: back.lagSeconds }
  })
}
