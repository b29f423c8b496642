import type { WorkflowInterceptors } from '@temporalio/workflow'
import type { TabletkeeperError } from '../model/errors.ts'
import { refusalAmong } from '../model/refused-payload.ts'
import { runFailure } from './failure.ts'

/**
 * Named as the SDK looks for it. Content that was refused fails the run that it starts, or whose activity it says it is the result of,
 * instead of reaching the workflow. Signals and queries need nothing: what their content should be, it is not.
 */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [
    {
      async execute(input, next) {
        throwIfRefused(refusalAmong(input.args, 'the input'))
        return await next(input)
      },
    },
  ],
  outbound: [
    {
      async scheduleActivity(input, next) {
        const result = await next(input)
        throwIfRefused(refusalAmong([result], `the result of ${input.activityType}`))
        return result
      },
    },
  ],
})

function throwIfRefused(error: TabletkeeperError | undefined): void {
  if (error === undefined) return
  const { type, message, hint } = error
  const told = hint === undefined ? {} : { hint }
  throw runFailure(undefined, { type, message }, { step: null, ...told, returnedBy: 'nobody', suppressed: [] })
}
