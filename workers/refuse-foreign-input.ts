import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { asFailure } from '../activities/activity.ts'
import { refusalAmong } from '../model/refused-payload.ts'

/** Input that was refused fails its activity for good, before anything is done. */
export const refuseForeignInput: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      const refusal = refusalAmong(input.args, 'the input of the step')
      if (refusal !== undefined) throw asFailure(refusal)
      return await next(input)
    },
  },
})
