import type { BackupName } from '../model/backup-name.ts'
import type { TemporalConfig } from '../model/config-temporal.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { ShardName } from '../model/shard-name.ts'
import { Tabletkeeper } from './tabletkeeper.ts'

/** A control that is busy may answer late. */
const QUESTIONS = 3

/**
 * Makes sure that no open run writes or reads a backup that is about to be removed. Runs of other shards are not asked.
 * @throws TabletBusy naming the run; TemporalUnavailable, NoAgent naming the run when nobody can tell
 */
export async function assertUnused(shard: ShardName, backup: BackupName, temporal: TemporalConfig): Promise<void> {
  await using keeper = await Tabletkeeper.connect(temporal)
  for (const { workflowId, runId } of await keeper.runs()) {
    const run = keeper.handle(workflowId, runId)
    const known = await unlessEnded(() => run.status())
    if (known === undefined || (known.shard !== undefined && known.shard !== shard)) continue
    if ((await progressOf(run, backup))?.backup === backup) {
      throw new TabletkeeperError('TabletBusy', `${workflowId} uses ${backup}`, {
        hint: `Nothing was removed. Wait for its end: tabletkeeper status ${workflowId} --follow`,
      })
    }
  }
}

async function progressOf(run: ReturnType<Tabletkeeper['handle']>, backup: BackupName) {
  for (let question = 1; ; question += 1) {
    try {
      return await unlessEnded(() => run.progress())
    } catch (error) {
      if (!isError(error, 'NoAgent')) throw error
      if (question < QUESTIONS) continue
      throw new TabletkeeperError('NoAgent', `${run.workflowId} may use ${backup}: ${error.message}`, {
        hint: 'Nothing was removed. Start tabletkeeper control, or, where you know that no run uses it: --offline.',
        cause: error,
      })
    }
  }
}

/** Undefined for a run that ended in the meantime. */
async function unlessEnded<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (isError(error, 'NotFound')) return undefined
    throw error
  }
}
