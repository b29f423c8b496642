import type { ProgressReport } from '../model/progress-report.ts'
import type { Progress } from '../model/runs.ts'

/**
 * Milliseconds after a copy was first scheduled at which its run is told how far it is. Workflow code sees no heartbeats, and what it is
 * told stays in its history for good, four events each time: so ever less often, and a short copy not at all.
 */
export const SIGNAL_AFTER: readonly number[] = [1, 2, 5, 10, 20, 40, 80, 160].map((minutes) => minutes * 60_000)

export interface ProgressSignals {
  readonly step: string
  /** Milliseconds since the step was first scheduled: what an earlier attempt was due to tell is not told again. */
  readonly age: number
  readonly after?: readonly number[] | undefined
  readonly send: (report: ProgressReport) => Promise<unknown>
  /** Told of what could not be sent. It changes nothing: the next one is as good. */
  readonly failed: (error: unknown) => void
  readonly now?: () => number
}

/** Makes a function that is given all progress, and sends the little of it that is due. It neither waits nor throws. */
export function progressSignals(options: ProgressSignals): (progress: Progress) => void {
  const { step, age, after = SIGNAL_AFTER, send, failed, now = () => performance.now() } = options
  const began = now() - age
  const due = after.filter((time) => time > age)
  return (progress) => {
    const passed = due.findLastIndex((time) => time <= now() - began)
    if (passed === -1) return
    due.splice(0, passed + 1)
    Promise.resolve({ step, at: new Date().toISOString(), progress }).then(send).catch(failed)
  }
}
