import { proxyActivities } from '@temporalio/workflow'
import type { TabletActivities } from '../../activities/contract.ts'
import type { TabletAlias } from '../../model/alias.ts'
import type { BackupName } from '../../model/backup-name.ts'
import type { RunKind } from '../../model/runs.ts'

export interface Attack {
  readonly tablet: TabletAlias
  readonly queue: string
  readonly backup: BackupName
  /** What it says that it takes the tablet for. */
  readonly kind: RunKind
}

/** What somebody with access to the namespace could write: steps of a restore without its preflight. Returns how far it came. */
export async function replaceData({ queue, backup, kind }: Attack): Promise<string> {
  const steps = proxyActivities<TabletActivities>({
    taskQueue: queue,
    startToCloseTimeout: '1m',
    retry: { maximumAttempts: 1 },
  })
  let step = 'takeTablet'
  try {
    const { token } = await steps.takeTablet({ kind })
    step = 'takeOutOfService'
    await steps.takeOutOfService({ token, type: 'RESTORE' })
    step = 'stopMysqld'
    await steps.stopMysqld({ token })
    step = 'downloadFiles'
    await steps.downloadFiles({ token, backup })
    step = 'swapData'
    await steps.swapData({ token })
    return 'replaced'
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    return `${step}: ${cause instanceof Error ? cause.message : String(error)}`
  }
}
