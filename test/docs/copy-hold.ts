import { setTimeout as delay } from 'node:timers/promises'
import type { ActivityInterceptors, WorkerInterceptors } from '@temporalio/worker'

/** Has copies of agents go on, while it is closed, until their runs are cancelled or terminated: so that nobody comes too late for that. */
export class CopyHold {
  #isClosed = false

  /** Of the agents whose copies are held. */
  readonly interceptors: WorkerInterceptors = {
    activity: [
      ({ info, cancellationSignal, heartbeat }): ActivityInterceptors => ({
        inbound: {
          execute: async (input, next) => {
            const result = await next(input)
            // What a heartbeat is answered with tells that the run is to end.
            while (info.activityType === 'copyFiles' && this.#isClosed && !cancellationSignal.aborted) {
              heartbeat()
              await delay(100)
            }
            cancellationSignal.throwIfAborted()
            return result
          },
        },
      }),
    ],
  }

  close(): void {
    this.#isClosed = true
  }

  open(): void {
    this.#isClosed = false
  }
}
