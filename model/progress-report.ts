import type { Progress } from './runs.ts'
import { formatAmounts, formatBytes, formatDuration } from './units.ts'

/** What a step that copies tells its run now and then: the content of the signal `progress`. */
export interface ProgressReport {
  /** The step, by the name of its activity. */
  readonly step: string
  /** RFC 3339: when the counters stood so. */
  readonly at: string
  readonly progress: Progress
}

/** Reads the content of a signal. Anybody may send one: what is no report is undefined. */
export function parseProgressReport(given: unknown): ProgressReport | undefined {
  if (typeof given !== 'object' || given === null || !('step' in given) || !('at' in given)) return undefined
  const { step, at } = given
  const progress = 'progress' in given ? parseProgress(given.progress) : undefined
  if (typeof step !== 'string' || typeof at !== 'string' || progress === undefined) return undefined
  return Number.isNaN(Date.parse(at)) ? undefined : { step, at, progress }
}

const COUNTERS = ['bytesDone', 'bytesTotal', 'filesDone', 'filesTotal', 'bytesPerSecond'] as const

/** Reads the counters of a heartbeat or a report; undefined when they are none. */
export function parseProgress(given: unknown): Progress | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  const found: ReadonlyMap<string, unknown> = new Map(Object.entries(given))
  const [bytesDone, bytesTotal, filesDone, filesTotal, bytesPerSecond] = COUNTERS.map((key) => counter(found.get(key)))
  if (bytesDone === undefined || bytesTotal === undefined || bytesPerSecond === undefined) return undefined
  if (filesDone === undefined || filesTotal === undefined) return undefined
  const secondsLeft = counter(found.get('secondsLeft')) ?? null
  return { bytesDone, bytesTotal, filesDone, filesTotal, bytesPerSecond, secondsLeft }
}

function counter(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined
}

/** `25.9/41.2 GiB`, `100/214 files`, and while it moves `412 MiB/s` and `38s left`. */
export function describeProgress(progress: Progress): string[] {
  const left = leftOf(progress)
  return [...countersOf(progress), ...(left === undefined ? [] : [`${left} left`])]
}

/**
 * The same for a reader who comes later:
 * `as of 12:33:20 UTC: 25.9/41.2 GiB, 100/214 files, 412 MiB/s, about 38s left (until 12:33 UTC)`.
 */
export function formatReport({ at, progress }: ProgressReport): string {
  const left = leftOf(progress)
  const until = untilOf(new Date(at), progress.secondsLeft ?? 0)
  const rest = left === undefined ? [] : [`about ${left} left${until === undefined ? '' : ` (until ${until})`}`]
  return `as of ${new Date(at).toISOString().slice(11, 19)} UTC: ${[...countersOf(progress), ...rest].join(', ')}`
}

function countersOf({ bytesDone, bytesTotal, filesDone, filesTotal, bytesPerSecond }: Progress): string[] {
  const done = [formatAmounts([bytesDone, bytesTotal], '/'), `${filesDone}/${filesTotal} files`]
  return bytesPerSecond > 0 && bytesDone < bytesTotal ? [...done, `${formatBytes(bytesPerSecond)}/s`] : done
}

function leftOf({ bytesDone, bytesTotal, bytesPerSecond, secondsLeft }: Progress): string | undefined {
  if (secondsLeft === null || bytesPerSecond <= 0 || bytesDone >= bytesTotal) return undefined
  return formatDuration(Math.ceil(secondsLeft) * 1000).replace(/\.0s$/, 's')
}

/** To the minute, with its day where that is another; undefined beyond what a Date can be. */
function untilOf(now: Date, seconds: number): string | undefined {
  const until = new Date(now.getTime() + seconds * 1000)
  if (Number.isNaN(until.getTime())) return undefined
  const [day, minute] = [until.toISOString().slice(0, 10), until.toISOString().slice(11, 16)]
  return now.toISOString().startsWith(day) ? `${minute} UTC` : `${day} ${minute} UTC`
}
