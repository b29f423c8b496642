import { CancellationScope, workflowInfo } from '@temporalio/workflow'
import { backupNameOf } from '../model/backup-name.ts'
import type { BackupInput, BackupResult } from '../model/runs.ts'
import { copyDetail, drainDetail, planDetail, rejoinDetail } from './details.ts'
import { parseBackupInput } from './input.ts'
import { onControl, onTablet } from './options.ts'
import { Run } from './run.ts'
import { settled } from './settled.ts'

/** Backs one tablet up, in six steps, and gives it back whatever happens. */
export async function backup(given: BackupInput): Promise<BackupResult> {
  const input = parseBackupInput(given)
  const { tablet, shard } = input
  const name = backupNameOf(tablet, workflowInfo().startTime)
  const run = new Run('backup', input, name)
  const agent = onTablet(tablet, input.agentTimeout)
  const { contact, steps } = agent
  try {
    const plan = await run.step('preflight', () => contact.preflightBackup(input), planDetail)

    const done = await run.holding(agent, async ({ token }) => {
      await run.step('takeOutOfService', () => steps.takeOutOfService({ token, type: 'BACKUP' }), drainDetail)
      const { position } = await run.step(
        'stopReplication',
        () => steps.stopReplication({ token }),
        (read) => read.position,
      )
      await run.step(
        'stopMysqld',
        () => steps.stopMysqld({ token }),
        () => 'clean',
      )
      const { concurrency } = input
      const copied = await settled(
        run.step('copyFiles', () => steps.copyFiles({ token, backup: name, concurrency }), copyDetail),
      )
      // From here the tablet goes back, also when the copy failed or the run was cancelled meanwhile.
      const back = await CancellationScope.nonCancellable(async () => {
        await run.step('startMysqld', () => steps.startMysqld({ token, on: 'its data' }))
        const rejoined = await run.step('rejoin', () => steps.rejoin({ token, after: 'backup' }), rejoinDetail)
        await run.step('releaseTablet', () => steps.releaseTablet({ token }))
        return rejoined
      })
      return { position, ...copied(), type: back.type, lagSeconds: back.lagSeconds }
    })

    await run.step(
      'publishBackup',
      () => steps.publishBackup({ backup: name }),
      (checked) => `${checked.objects} objects checked`,
    )
    const { seconds, outOfServiceSeconds } = run
    return { backup: name, shard, tablet, ...done, seconds, outOfServiceSeconds, warnings: plan.warnings }
  } catch (error) {
    if (run.began('copyFiles'))
      await run.tidy('discardBackup', () => onControl().discardBackup({ shard, backup: name }))
    throw run.failure(error)
  }
}
