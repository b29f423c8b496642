import { setTimeout as delay } from 'node:timers/promises'
import { isTemporalOutage } from '../../client/connection.ts'
import type { RunHandle } from '../../client/run-handle.ts'
import { isError, messageOf } from '../../model/errors.ts'
import type { BackupResult, RestoreResult } from '../../model/runs.ts'
import type { Account } from './account.ts'
import type { Workflow } from './cases.ts'
import type { Scenery } from './chaos-world.ts'

/** An agent that was killed is back in that time. */
const AGENT_TIMEOUT = '10s'
const STARTED_WITHIN = 30_000

/** Starts the run of a case. A restore takes the oldest backup that nobody has restored yet, so that those of runs under a fault are proven. */
export function startRun(
  { keeper, shard, victim }: Scenery,
  workflow: Workflow,
  account: Account,
): Promise<RunHandle<BackupResult | RestoreResult>> {
  const input = { shard: shard.shard, tablet: victim.alias, agentTimeout: AGENT_TIMEOUT }
  switch (workflow) {
    case 'backup':
    case 'backup-reflink':
      return started(() => keeper.backup(input))
    case 'restore': {
      const { unproven } = account
      return started(() => keeper.restore({ ...input, ...(unproven === undefined ? {} : { backup: unproven }) }))
    }
    case 'bootstrap':
      return started(() => keeper.bootstrap(input))
  }
}

/** Ids of runs have their second in them, so that one may have to wait for the next; and a client notices late that Temporal is back. */
async function started<Run>(start: () => Promise<Run>): Promise<Run> {
  for (const deadline = Date.now() + STARTED_WITHIN; ; await delay(300)) {
    try {
      return await start()
    } catch (error) {
      if (!(isError(error, 'TabletBusy') || isTemporalOutage(error)) || Date.now() > deadline) throw error
    }
  }
}

/** How a run ended, for people; and its result, if it has one. */
export interface Ended {
  readonly end: string
  readonly result?: BackupResult | RestoreResult
}

/**
 * Waits until the latest run of a workflow is closed; after a reset that is another than the one that was started.
 * @throws when it is still open after `limit` milliseconds, with what it waits for
 */
export async function awaitClosed(
  { keeper }: Scenery,
  { workflowId }: RunHandle<unknown>,
  limit: number,
): Promise<Ended> {
  const run = keeper.handle(workflowId)
  for (const deadline = Date.now() + limit; ; await delay(200)) {
    const seen = await run.status().catch((error: unknown) => {
      if (!isTemporalOutage(error)) throw error
    })
    if (seen !== undefined && seen.state !== 'running') return await endOf(run, seen.state)
    if (Date.now() <= deadline) continue
    const { step, state, waitingFor, lastFailure } = seen?.activity ?? {}
    const waits = [step, state, waitingFor, lastFailure?.message].filter((word) => word !== undefined)
    throw new Error(`${workflowId} is still open after ${limit / 1000} s: ${waits.join(', ') || 'no step'}`)
  }
}

async function endOf(run: RunHandle<BackupResult | RestoreResult>, state: string): Promise<Ended> {
  try {
    return { result: await run.result(), end: state }
  } catch (error) {
    return { end: `${state}: ${messageOf(error).split('\n')[0]}` }
  }
}
