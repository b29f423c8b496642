import type { Client } from '@temporalio/client'
import type { Logger } from 'pino'
import { messageOf } from '../model/errors.ts'
import type { BootstrapInput } from '../model/runs.ts'
import { CONTROL_QUEUE } from '../model/runs.ts'
import { emptiness } from '../mysql/data-directory.ts'
import type { OpenTablet } from './open-tablet.ts'

/**
 * `restoreFromBackup` at the agent's start: an empty tablet is bootstrapped, from the shard's latest backup or, when it has none at
 * all, as a new and empty one. A tablet that has data is left alone, and so is one that a run holds.
 */
export async function bootstrapEmptyTablet(client: Client, open: OpenTablet, log: Logger): Promise<void> {
  const { driver } = open.tablet
  if ((await emptiness(await driver.layout())) !== 'empty' || (await open.tablet.lease()) !== undefined) return
  const input: BootstrapInput = { shard: driver.shard, tablet: driver.alias }
  const workflowId = `bootstrap/${driver.shard}/${driver.alias}`
  try {
    await client.workflow.start('bootstrap', {
      args: [input],
      taskQueue: CONTROL_QUEUE,
      workflowId,
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `bootstrap ${driver.alias} of ${driver.shard}, at its agent's start`,
    })
    log.info({ event: 'bootstrap', workflowId }, `${driver.alias} is empty: ${workflowId} restores it`)
  } catch (error) {
    log.error(
      { event: 'bootstrap', err: error },
      `the bootstrap of ${driver.alias} could not be started: ${messageOf(error)}`,
    )
  }
}
