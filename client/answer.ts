import { ERROR_TYPES, TabletkeeperError } from '../model/errors.ts'
import { CONTROL_QUEUE } from '../model/runs.ts'
import type { RunHandle } from './run-handle.ts'
import type { RunStatus } from './run-status.ts'

/**
 * The result of a short workflow, if it comes in time.
 * @throws RunFailed when it failed; else what its last attempt failed with, or NoAgent naming who did not answer
 */
export async function answerWithin<Answer>(run: RunHandle<Answer>, milliseconds: number): Promise<Answer> {
  const late = AbortSignal.timeout(milliseconds)
  try {
    return await run.result(late)
  } catch (error) {
    // It is left to its own timeout: nobody waits for it any more.
    throw late.aborted ? judgeLateness(await run.status(), milliseconds) : error
  }
}

/** Why an answer did not come in time: what its last attempt failed with, or who did not take it. */
export function judgeLateness({ activity }: Pick<RunStatus, 'activity'>, milliseconds: number): TabletkeeperError {
  const within = `within ${Math.round(milliseconds / 1000)} s`
  if (activity?.lastFailure !== undefined) {
    const { type, message, hint } = activity.lastFailure
    const known = ERROR_TYPES.find((one) => one === type) ?? 'NoAgent'
    return new TabletkeeperError(known, message, hint === undefined ? {} : { hint })
  }
  if (activity !== undefined && activity.queue !== CONTROL_QUEUE) {
    return new TabletkeeperError(
      'NoAgent',
      `nobody answered on the queue ${activity.queue ?? 'of the tablet'} ${within}`,
      {
        hint: "Start tabletkeeper agent on the tablet's host.",
      },
    )
  }
  return new TabletkeeperError('NoAgent', `no tabletkeeper control answered ${within}`, {
    hint: 'Start tabletkeeper control on any host.',
  })
}
