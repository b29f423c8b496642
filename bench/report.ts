import type { Limit } from './limit.ts'
import type { Measurement } from './rounds.ts'
import { objectsPerSecond } from './small-files.ts'
import { median } from './statistics.ts'
import type { WholeRunFigures } from './whole-run.ts'

/** Everything that was measured. */
export interface Measured {
  /** Copies of each shape, and of small files. */
  readonly measurements: readonly Measurement[]
  readonly limits: readonly Limit[]
  readonly runs: readonly WholeRunFigures[]
  readonly cores: number
}

export const RATIOS = [
  'backupVsTarZstd',
  'backupVsVitess',
  'backupHugeVsVitess',
  'restoreVsTarZstd',
  'restoreVsVitess',
  'restoreHugeVsVitess',
  'storedVsTarZstd',
  'shareOfLimit',
] as const
export const FIGURES = ['downtimeBeyondStopStartSeconds', 'maxRssMiB', 'historyEvents', 'pageCheckShare'] as const
/** What else has a bar, or explains one that has. */
export const MORE = [
  'backupDurableVsTarZstd',
  'restoreDurableVsTarZstd',
  'shareOfBareZstd',
  'shareOfThreadsAtOnce',
  'smallFilesVsOneByOne',
  's3VsFiles',
  's3RequestsPerGB',
  'maxRssMiBSparse',
  'maxRssMiBSmallFiles',
  'downtimeGrowthAtFourTimes',
  'downtimeBeyondStopStartSecondsManyFiles',
  'downtimeBeyondStopStartSecondsPlain',
  'historyEventsDifference',
] as const

/** Null: not measured in this run. */
type Values<Name extends string> = Readonly<Record<Name, number | null>>

export interface Report {
  /** Of throughput unless their name says otherwise: more than 1 means that ours is faster. */
  readonly ratios: Values<(typeof RATIOS)[number]>
  readonly figures: Values<(typeof FIGURES)[number]>
  readonly more: Values<(typeof MORE)[number]>
}

/** Names of whole runs. */
export const RUNS = {
  plain: 'data set',
  sparse: 'sparse file',
  smallFiles: 'small files',
  snapshot: 'data set, snapshot',
  snapshotQuarter: 'quarter of the data set, snapshot',
  snapshotManyFiles: 'many small files, snapshot',
} as const

export function reportOf(measured: Measured): Report {
  const { runs } = measured
  const throughput = (contest: string, contender: string) =>
    middle(select(measured, contest, contender).map(({ dataBytes, seconds }) => dataBytes / seconds))
  const durable = (contest: string, contender: string) =>
    middle(
      select(measured, contest, contender).map(
        ({ dataBytes, seconds, syncSeconds }) => dataBytes / (seconds + (syncSeconds ?? 0)),
      ),
    )
  const stored = (contender: string) =>
    middle(select(measured, 'mixed', contender).map(({ storedBytes }) => storedBytes ?? 0))
  const ours = throughput('mixed', 'our backup')
  const objects = (contender: string) => middle(select(measured, 'small files', contender).map(objectsPerSecond))
  const downtime = (name: string) =>
    middle(runs.filter((run) => run.name === name).map((run) => run.downtimeBeyondStopStartSeconds))
  // With the bare restart: what is left without it is a tenth of a second, and as much by chance as by size.
  const between = (name: string) =>
    middle(
      runs.filter((run) => run.name === name).map((run) => run.downtimeBeyondStopStartSeconds + run.bareRestartSeconds),
    )
  const memory = (name: string) =>
    middle(runs.filter((run) => run.name === name).map((run) => run.agentMaxRssBytes / 1024 ** 2))
  const events = runs.map(({ historyEvents }) => historyEvents)
  // A run with a snapshot has more steps than one without.
  const plainEvents = runs.filter(({ snapshot }) => snapshot === 'none').map(({ historyEvents }) => historyEvents)
  return {
    ratios: {
      backupVsTarZstd: ratio(ours, throughput('mixed', 'tar backup')),
      backupVsVitess: ratio(throughput('many', 'our backup'), throughput('many', 'vttablet backup')),
      backupHugeVsVitess: ratio(throughput('huge', 'our backup'), throughput('huge', 'vttablet backup')),
      restoreVsTarZstd: ratio(throughput('mixed', 'our restore'), throughput('mixed', 'tar restore')),
      restoreVsVitess: ratio(throughput('many', 'our restore'), throughput('many', 'vttablet restore')),
      restoreHugeVsVitess: ratio(throughput('huge', 'our restore'), throughput('huge', 'vttablet restore')),
      storedVsTarZstd: ratio(stored('our backup'), stored('tar backup')),
      shareOfLimit: ratio(
        ours,
        limitOf(measured, ({ single }) => single.seconds),
      ),
    },
    figures: {
      downtimeBeyondStopStartSeconds: downtime(RUNS.snapshot),
      maxRssMiB: memory(RUNS.plain),
      historyEvents: events.length === 0 ? null : Math.max(...events),
      pageCheckShare: pageCheckShare(measured),
    },
    more: {
      backupDurableVsTarZstd: ratio(durable('mixed', 'our backup'), durable('mixed', 'tar backup')),
      restoreDurableVsTarZstd: ratio(durable('mixed', 'our restore'), durable('mixed', 'tar restore')),
      shareOfBareZstd: ratio(
        ours,
        limitOf(measured, ({ single }) => single.compressSeconds),
      ),
      shareOfThreadsAtOnce: ratio(ours, throughput('mixed', 'threads at once')),
      s3VsFiles: ratio(durable('s3', 'to versitygw'), durable('s3', 'to files')),
      s3RequestsPerGB: middle(
        select(measured, 's3', 'to versitygw').map(({ requests = 0, dataBytes }) => requests / (dataBytes / 1e9)),
      ),
      smallFilesVsOneByOne: ratio(objects('together'), objects('one by one')),
      maxRssMiBSparse: memory(RUNS.sparse),
      maxRssMiBSmallFiles: memory(RUNS.smallFiles),
      downtimeGrowthAtFourTimes: ratio(between(RUNS.snapshot), between(RUNS.snapshotQuarter)),
      downtimeBeyondStopStartSecondsManyFiles: downtime(RUNS.snapshotManyFiles),
      downtimeBeyondStopStartSecondsPlain: downtime(RUNS.plain),
      historyEventsDifference: plainEvents.length < 2 ? null : Math.max(...plainEvents) - Math.min(...plainEvents),
    },
  }
}

function select({ measurements }: Measured, contest: string, contender: string): Measurement[] {
  return measurements.filter((one) => one.contest === contest && one.contender === contender)
}

function middle(values: readonly number[]): number | null {
  return values.length === 0 ? null : median(values)
}

function ratio(one: number | null, other: number | null): number | null {
  return one === null || other === null || other === 0 ? null : one / other
}

/** Bytes in a second of all cores, if each were as fast as the one thread. */
function limitOf({ limits, cores }: Measured, seconds: (limit: Limit) => number): number | null {
  return middle(limits.map((limit) => (limit.single.bytes / seconds(limit)) * cores))
}

/** Of the CPU time of our backup, that which the check of pages takes. */
function pageCheckShare(measured: Measured): number | null {
  const { limits } = measured
  const checkPerByte = middle(limits.map(({ paired }) => (paired.withCheck - paired.withoutCheck) / paired.bytes))
  const copyPerByte = middle(
    select(measured, 'mixed', 'our backup').map(({ cpuSeconds, dataBytes }) => cpuSeconds / dataBytes),
  )
  return ratio(checkPerByte, copyPerByte)
}
