import { type Judgement, showBar, showReached } from './bars.ts'
import type { Machine } from './machine.ts'
import type { Measurement } from './rounds.ts'
import { type Spread, spreadOf } from './statistics.ts'

/** One line while it is measured. */
export function lineOf({ contest, contender, round, ...took }: Measurement): string {
  const { seconds, syncSeconds, cpuSeconds, maxRssBytes, dataBytes, busyBefore } = took
  return [
    `${contest} ${round}`.padEnd(14),
    contender.padEnd(18),
    `${seconds.toFixed(2)} s`.padStart(9),
    syncSeconds === null ? ''.padEnd(11) : `+ ${syncSeconds.toFixed(2)} sync`.padEnd(11),
    `${cpuSeconds.toFixed(2)} CPU s`.padStart(12),
    `${(maxRssBytes / 1024 ** 2).toFixed(0)} MiB`.padStart(9),
    `${(dataBytes / seconds / 1e6).toFixed(0)} MB/s`.padStart(10),
    busyBefore > 0.1 ? `  (${(busyBefore * 100).toFixed(0)} % busy before: not to be trusted)` : '',
  ].join(' ')
}

/** Medians of every contender, with the spread of their time. */
export function summaryTable(measurements: readonly Measurement[]): string {
  const header = ['', 'wall s', '(min to max)', '+ sync s', 'CPU s', 'CPU s/GB', 'MiB', 'MB/s']
  const groups = Map.groupBy(measurements, ({ contest, contender }) => `${contest}: ${contender}`)
  const rows = Array.from(groups, ([name, group]) => {
    const of = (value: (one: Measurement) => number): Spread => spreadOf(group.map(value))
    const seconds = of((one) => one.seconds)
    return [
      name,
      seconds.median.toFixed(2),
      `${seconds.min.toFixed(2)} to ${seconds.max.toFixed(2)}`,
      group.some((one) => one.syncSeconds !== null) ? of((one) => one.syncSeconds ?? 0).median.toFixed(2) : '',
      of((one) => one.cpuSeconds).median.toFixed(2),
      of((one) => (one.cpuSeconds / one.dataBytes) * 1e9).median.toFixed(2),
      of((one) => one.maxRssBytes / 1024 ** 2).median.toFixed(0),
      of((one) => one.dataBytes / one.seconds / 1e6).median.toFixed(0),
    ]
  })
  return table([header, ...rows])
}

export function barsTable(judgements: readonly Judgement[]): string {
  const rows = judgements.map((one) => [
    one.title,
    showBar(one),
    showReached(one),
    one.holds === null ? '' : one.holds ? 'yes' : 'NO',
  ])
  return table([['', 'bar', 'reached', 'holds'], ...rows])
}

export function describe(machine: Machine): string {
  const { cpu, cores, memoryGiB, kernel, fileSystem, node, zstd, zstdProgram } = machine
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, ${fileSystem}, Node ${node} (zstd ${zstd}), zstd ${zstdProgram}`
}

/** The first column to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
