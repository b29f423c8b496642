import type { FIGURES, MORE, RATIOS, Report } from './report.ts'

type Key = (typeof RATIOS)[number] | (typeof FIGURES)[number] | (typeof MORE)[number]

/** What is to be reached. */
interface Bar {
  readonly key: Key
  readonly title: string
  readonly bound: 'at least' | 'at most'
  readonly bar: number
  readonly unit?: 's' | 'MiB' | '%'
}

/** A bar with what was reached. */
export interface Judgement extends Bar {
  /** Null: not measured in this run. */
  readonly reached: number | null
  readonly holds: boolean | null
}

const times = (key: Key, title: string, bar: number): Bar => ({ key, title, bound: 'at least', bar })
const seconds = (key: Key, title: string, bar: number): Bar => ({ key, title, bound: 'at most', bar, unit: 's' })
const memory = (key: Key, title: string, bar: number): Bar => ({ key, title, bound: 'at most', bar, unit: 'MiB' })

const BARS: readonly Bar[] = [
  times('backupVsTarZstd', 'backup copy against tar | zstd -1 -T0', 1.3),
  times('backupVsVitess', "backup copy against vttablet's, many tables", 1.35),
  times('backupHugeVsVitess', "backup copy against vttablet's, one huge table", 2),
  times('restoreVsTarZstd', 'restore copy against zstd -d | tar -x', 1.5),
  times('restoreVsVitess', "restore copy against vttablet's, many tables", 1.4),
  times('restoreHugeVsVitess', "restore copy against vttablet's, one huge table", 1.6),
  { key: 'storedVsTarZstd', title: 'stored size against tar | zstd -1', bound: 'at most', bar: 1.005 },
  times('shareOfLimit', 'share of one thread × cores, same work', 0.75),
  times('smallFilesVsOneByOne', 'small files durable, against one fsync after the other', 2.5),
  times('s3VsFiles', 'backup to an S3 server on the same cores, against files', 0.6),
  seconds('downtimeBeyondStopStartSeconds', "mysqld's downtime beyond its stop and start, snapshot", 0.5),
  times('downtimeGrowthAtFourTimes', 'from one mysqld to the next at 4 times the data: times as long', 0.8),
  { key: 'downtimeGrowthAtFourTimes', title: '… and no more than', bound: 'at most', bar: 1.2 },
  seconds('downtimeBeyondStopStartSecondsManyFiles', 'that downtime with many small files', 1),
  memory('maxRssMiB', 'memory of the agent, the data set', 220),
  memory('maxRssMiBSparse', 'memory of the agent, a huge sparse file', 220),
  memory('maxRssMiBSmallFiles', 'memory of the agent, many small files', 300),
  { key: 'historyEvents', title: "events in a backup's history, the most of all runs", bound: 'at most', bar: 120 },
  { key: 'historyEventsDifference', title: '… and how far runs differ, few files or many', bound: 'at most', bar: 0 },
  { key: 'pageCheckShare', title: "page check, of the copy's CPU seconds", bound: 'at most', bar: 0.08, unit: '%' },
]

/** Every bar, in the order in which people read them. */
export function judge({ ratios, figures, more }: Report): Judgement[] {
  const values: Readonly<Record<Key, number | null>> = { ...ratios, ...figures, ...more }
  return BARS.map((bar) => {
    const reached = values[bar.key]
    const holds = reached === null ? null : bar.bound === 'at least' ? reached >= bar.bar : reached <= bar.bar
    return { ...bar, reached, holds }
  })
}

/** `≥ 1.30`, `≤ 220 MiB`. */
export function showBar({ bound, bar, unit }: Bar): string {
  return `${bound === 'at least' ? '≥' : '≤'} ${show(bar, unit)}`
}

export function showReached({ reached, unit }: Judgement): string {
  return reached === null ? 'not measured' : show(reached, unit)
}

function show(value: number, unit: Bar['unit']): string {
  switch (unit) {
    case '%':
      return `${(value * 100).toFixed(1)} %`
    case 'MiB':
      return `${value.toFixed(0)} MiB`
    case 's':
      return `${value.toFixed(2)} s`
    case undefined:
      return Number.isInteger(value) && value > 10 ? String(value) : value.toFixed(value < 1.1 && value > 0.9 ? 3 : 2)
  }
}
