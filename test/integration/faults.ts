import type { ActivityInterceptors, WorkerInterceptors } from '@temporalio/worker'

/** Where in an activity something is made to happen. */
export interface Fault {
  /** Name of the activity. */
  readonly at: string
  /** `before` the activity acts or `after` it has acted but before its run hears of it. */
  readonly when: 'before' | 'after'
  /** What happens; what it throws is what the activity throws. */
  readonly happens: () => Promise<void> | void
  /** Default: only the first time. */
  readonly always?: boolean
}

/** Often enough that no fault lasts too long for Temporal, which waits for a minute; seldom enough to tell an activity nothing sooner. */
const BEAT = 20_000

/** Makes faults happen around activities of a real agent. */
export function withFaults(...faults: Fault[]): WorkerInterceptors {
  const spent = new Set<Fault>()
  return {
    activity: [
      (context): ActivityInterceptors => ({
        inbound: {
          async execute(input, next) {
            const due = (when: Fault['when']) =>
              faults.find((fault) => fault.at === context.info.activityType && fault.when === when && !spent.has(fault))
            const happen = async (fault: Fault | undefined) => {
              if (fault === undefined) return
              if (fault.always !== true) spent.add(fault)
              // Nobody reads what heartbeats say: an attempt goes on by what is on disk.
              const beating = setInterval(() => context.heartbeat(), BEAT)
              try {
                await fault.happens()
              } finally {
                clearInterval(beating)
              }
            }
            await happen(due('before'))
            const result = await next(input)
            await happen(due('after'))
            return result
          },
        },
      }),
    ],
  }
}

/** A place in an activity where the first that gets there waits until it is let on. */
export interface Gate {
  readonly fault: Fault
  /** Resolves when an activity waits here. */
  readonly reached: Promise<void>
  open(): void
}

export function gateAt(at: string, when: Fault['when'] = 'before'): Gate {
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  const happens = async (): Promise<void> => {
    reached.resolve()
    await opened.promise
  }
  return { fault: { at, when, happens }, reached: reached.promise, open: opened.resolve }
}
