import { availableParallelism } from 'node:os'
import type { Concurrency } from '../model/config.ts'
import { type Progress, STEP_TITLES, type StepName } from '../model/runs.ts'
import { Interrupted } from './output/failure.ts'
import { ProgressLine } from './output/progress-line.ts'
import type { Terminal } from './output/terminal.ts'

/** What a job works with that this process does itself, with storage alone. */
export interface StorageJob {
  /** Threads. */
  readonly concurrency: number
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

export interface StorageJobOptions {
  /** What is done to what, for the first line. */
  readonly heading: string
  readonly step: StepName
  readonly threads: Concurrency
  /** What Ctrl-C leaves; default: nothing. */
  readonly interrupted?: Interrupted
}

/**
 * Does a job in this process, and shows how far it is.
 * @returns what came of it, and how many seconds it took
 * @throws Interrupted by Ctrl-C
 */
export async function doHere<T>(
  terminal: Terminal,
  { heading, step, threads, interrupted = new Interrupted() }: StorageJobOptions,
  act: (job: StorageJob) => Promise<T>,
): Promise<{ readonly result: T; readonly seconds: number }> {
  const began = Date.now()
  const stopping = new AbortController()
  const stop = () => stopping.abort(interrupted)
  process.once('SIGINT', stop)
  terminal.note(terminal.notePaint.strong(heading))
  using line = new ProgressLine(terminal, STEP_TITLES[step])
  try {
    const result = await act({
      concurrency: threads === 'cores' ? availableParallelism() : threads,
      signal: stopping.signal,
      onProgress: (progress) => line.show(progress),
    })
    return { result, seconds: (Date.now() - began) / 1000 }
  } finally {
    process.off('SIGINT', stop)
  }
}
