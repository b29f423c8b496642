import { CancellationScope, workflowInfo } from '@temporalio/workflow'
import { backupNameOf } from '../model/backup-name.ts'
import type { BackupInput, BackupResult } from '../model/runs.ts'
import {
  brokenWarnings,
  checkDetail,
  cloneDetail,
  copyDetail,
  drainDetail,
  errantWarnings,
  pageWarnings,
  planDetail,
  rejoinDetail,
} from './details.ts'
import { parseBackupInput } from './input.ts'
import { onControl, onTablet } from './options.ts'
import { Run } from './run.ts'
import { settled } from './settled.ts'

/**
 * Backs one tablet up, in six steps, and gives it back whatever happens. Where its files can be cloned, step 4 does that alone, and they
 * are copied from the clone when the tablet serves again.
 */
export async function backup(given: BackupInput): Promise<BackupResult> {
  const input = parseBackupInput(given)
  const { tablet, shard, concurrency, allowPrimary, force } = input
  const name = backupNameOf(tablet, workflowInfo().startTime)
  const run = new Run('backup', input, name)
  const agent = onTablet(tablet, input.agentTimeout)
  const { contact, steps, unhurried, wayBack } = agent
  let dropClone = async (): Promise<void> => undefined
  try {
    const plan = await run.step('preflight', () => contact.preflightBackup(input), planDetail)
    const { snapshot } = plan
    const held = await run.holding(agent, { allowPrimary }, async ({ token }) => {
      const isCloned = snapshot === 'reflink'
      if (isCloned) dropClone = () => run.undo('dropClone', () => wayBack.dropClone({ token }))
      await run.step(
        'takeOutOfService',
        () => steps.takeOutOfService({ token, type: 'BACKUP', clone: isCloned ? name : undefined }),
        drainDetail,
      )
      const { position } = await run.step(
        'stopReplication',
        () => steps.stopReplication({ token }),
        (read) => read.position,
      )
      await run.step(
        'stopMysqld',
        () => steps.stopMysqld({ token, force }),
        () => 'clean',
      )
      const copied = await settled(
        isCloned
          ? run.step('cloneFiles', () => steps.cloneFiles({ token, backup: name }), cloneDetail).then(() => undefined)
          : run.step('copyFiles', () => steps.copyFiles({ token, backup: name, concurrency }), copyDetail),
      )
      // From here the tablet goes back, also when the copy failed or the run was cancelled meanwhile.
      const back = await CancellationScope.nonCancellable(async () => {
        await run.step('startMysqld', () => steps.startMysqld({ token, on: 'its data' }))
        const rejoined = await run.step('rejoin', () => steps.rejoin({ token, after: 'backup' }), rejoinDetail)
        await run.step('releaseTablet', () => steps.releaseTablet({ token }))
        return rejoined
      })
      if (back.broken !== undefined) run.unserved(back.broken)
      return { token, position, copied: copied(), back }
    })

    const { token, position, back } = held
    const copied =
      held.copied ??
      (await run.step('uploadFiles', () => unhurried.uploadFiles({ token, backup: name, concurrency }), copyDetail))
    await run.step('checkBackup', () => unhurried.checkBackup({ backup: name }), checkDetail)
    const { outOfServiceSeconds } = run
    const published = await run.step('publishBackup', () =>
      unhurried.publishBackup({ backup: name, outOfServiceSeconds }),
    )
    const { seconds } = run
    await dropClone()
    const found = [...pageWarnings(copied, tablet), ...errantWarnings(published, name), ...brokenWarnings(back, tablet)]
    const warnings = [...plan.warnings, ...found]
    const { type, lagSeconds } = back
    const result = { backup: name, shard, tablet, position, ...copied, snapshot, type, lagSeconds }
    return { ...result, seconds, outOfServiceSeconds, warnings }
  } catch (error) {
    await dropClone()
    if (run.began('copyFiles') || run.began('uploadFiles'))
      await run.tidy('discardBackup', () => onControl().discardBackup({ shard, backup: name }))
    throw run.failure(error)
  }
}
