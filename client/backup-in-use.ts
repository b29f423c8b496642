import type { BackupName } from '../model/backup-name.ts'
import type { TemporalConfig } from '../model/config-temporal.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { ShardName } from '../model/shard-name.ts'
import { Tabletkeeper } from './tabletkeeper.ts'

/**
 * Makes sure that no open run writes or reads a backup that is about to be removed.
 * @throws TabletBusy naming the run; TemporalUnavailable, NoAgent when nobody can tell
 */
export async function assertUnused(shard: ShardName, backup: BackupName, temporal: TemporalConfig): Promise<void> {
  await using keeper = await Tabletkeeper.connect(temporal)
  for (const { workflowId, runId } of await keeper.runs()) {
    const run = keeper.handle(workflowId, runId)
    const subject = (await run.status()).subject
    if (subject !== undefined && subject.shard !== shard) continue
    if ((await progressOf(run))?.backup === backup) {
      throw new TabletkeeperError('TabletBusy', `${workflowId} uses ${backup}`, {
        hint: `Nothing was removed. Wait for its end: tabletkeeper status ${workflowId} --follow`,
      })
    }
  }
}

/** Undefined for a run that ended in the meantime. */
async function progressOf(run: ReturnType<Tabletkeeper['handle']>) {
  try {
    return await run.progress()
  } catch (error) {
    if (isError(error, 'NotFound')) return undefined
    throw error
  }
}
