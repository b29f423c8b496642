import { ERROR_TYPES, TabletkeeperError } from '../model/errors.ts'
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
    throw late.aborted ? silence(await run.status(), milliseconds) : error
  }
}

function silence({ activity }: RunStatus, milliseconds: number): TabletkeeperError {
  const within = `within ${Math.round(milliseconds / 1000)} s`
  if (activity?.lastFailure !== undefined) {
    const { type, message } = activity.lastFailure
    return new TabletkeeperError(ERROR_TYPES.find((known) => known === type) ?? 'NoAgent', message)
  }
  if (activity !== undefined) {
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
