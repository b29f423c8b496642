import { describe, expect, test } from 'vitest'
import { judge, showBar, showReached } from '../../bench/bars.ts'
import { chartOf } from '../../bench/chart.ts'
import { barsTable, summaryTable } from '../../bench/print.ts'
import { FIGURES, type Measured, RATIOS, RUNS, reportOf } from '../../bench/report.ts'
import type { Measurement } from '../../bench/rounds.ts'
import type { WholeRunFigures } from '../../bench/whole-run.ts'

const GB = 1e9
const NOTHING: Measured = { measurements: [], limits: [], runs: [], cores: 2 }

function copy(contest: string, contender: string, seconds: number, more: Partial<Measurement> = {}): Measurement {
  const took = {
    seconds,
    syncSeconds: 1,
    cpuSeconds: seconds * 2,
    maxRssBytes: 100 << 20,
    dataBytes: GB,
    storedBytes: GB / 2,
  }
  return { contest, contender, round: 1, busyBefore: 0, ...took, ...more }
}

function run(name: string, more: Partial<WholeRunFigures> = {}): WholeRunFigures {
  return {
    name,
    snapshot: 'none',
    files: 10,
    dataBytes: GB,
    storedBytes: GB / 2,
    seconds: 10,
    outOfServiceSeconds: 8,
    bareRestartSeconds: 0.2,
    downtimeBeyondStopStartSeconds: 4,
    agentMaxRssBytes: 200 << 20,
    agentIdleRssBytes: 100 << 20,
    historyEvents: 70,
    ...more,
  }
}

describe('the report of a benchmark', () => {
  test('says of nothing that was not measured that it was', () => {
    const { ratios, figures, more } = reportOf(NOTHING)
    for (const key of RATIOS) expect(ratios[key]).toBeNull()
    for (const key of FIGURES) expect(figures[key]).toBeNull()
    expect(Object.values(more).every((value) => value === null)).toBe(true)
    expect(judge({ ratios, figures, more }).every(({ holds }) => holds === null)).toBe(true)
  })

  test('compares medians of throughput: more than 1 means that ours is faster', () => {
    const measurements = [
      ...[4, 5, 9].map((seconds) => copy('mixed', 'our backup', seconds)),
      ...[8, 10, 11].map((seconds) => copy('mixed', 'tar backup', seconds)),
      copy('mixed', 'our restore', 3),
      copy('mixed', 'tar restore', 6),
    ]
    const { ratios, more } = reportOf({ ...NOTHING, measurements })
    expect(ratios.backupVsTarZstd).toBeCloseTo(2)
    expect(ratios.restoreVsTarZstd).toBeCloseTo(2)
    expect(ratios.backupVsVitess).toBeNull()
    expect(more.backupDurableVsTarZstd).toBeCloseTo(11 / 6)
  })

  test('compares bytes in a second, not seconds: vttablet has files of its own', () => {
    const measurements = [
      copy('many', 'our backup', 5),
      copy('many', 'vttablet backup', 10, { dataBytes: 1.25 * GB, syncSeconds: null }),
      copy('huge', 'our restore', 2),
      copy('huge', 'vttablet restore', 5),
    ]
    const { ratios } = reportOf({ ...NOTHING, measurements })
    expect(ratios.backupVsVitess).toBeCloseTo(1.6)
    expect(ratios.restoreHugeVsVitess).toBeCloseTo(2.5)
  })

  test('takes the stored size as it is: more than 1 means that ours is larger', () => {
    const measurements = [
      copy('mixed', 'our backup', 5, { storedBytes: 1004 }),
      copy('mixed', 'tar backup', 5, { storedBytes: 1000 }),
    ]
    expect(reportOf({ ...NOTHING, measurements }).ratios.storedVsTarZstd).toBeCloseTo(1.004)
  })

  test('knows the limit by one thread times the cores, and the share of the page check by CPU seconds', () => {
    const single = { bytes: GB, seconds: 8, compressSeconds: 4, cpuSeconds: 8, maxRssBytes: 1 }
    const limit = { single, paired: { bytes: GB / 4, withCheck: 2.1, withoutCheck: 2 } }
    const measurements = [
      copy('mixed', 'our backup', 5, { cpuSeconds: 10 }),
      copy('mixed', 'threads at once', 6, { dataBytes: 1.5 * GB }),
    ]
    const { ratios, figures, more } = reportOf({ ...NOTHING, measurements, limits: [limit] })
    expect(ratios.shareOfLimit).toBeCloseTo(0.8)
    expect(more.shareOfBareZstd).toBeCloseTo(0.4)
    expect(more.shareOfThreadsAtOnce).toBeCloseTo(0.8)
    expect(figures.pageCheckShare).toBeCloseTo(0.04)
  })

  test('takes downtime, memory and events from whole runs, each from those that are meant', () => {
    const snapshot = 'reflink'
    const runs = [
      run(RUNS.plain),
      run(RUNS.smallFiles, { historyEvents: 71, agentMaxRssBytes: 290 << 20 }),
      ...[0.5, 0.3, 0.2].map((downtimeBeyondStopStartSeconds) =>
        run(RUNS.snapshot, { snapshot, downtimeBeyondStopStartSeconds, historyEvents: 83 }),
      ),
      run(RUNS.snapshotQuarter, { snapshot, downtimeBeyondStopStartSeconds: 0.25 }),
    ]
    const { figures, more } = reportOf({ ...NOTHING, runs })
    expect(figures).toEqual({
      downtimeBeyondStopStartSeconds: 0.3,
      maxRssMiB: 200,
      historyEvents: 83,
      pageCheckShare: null,
    })
    expect(more.downtimeGrowthAtFourTimes).toBeCloseTo(0.5 / 0.45)
    expect(more.maxRssMiBSmallFiles).toBe(290)
    expect(more.historyEventsDifference).toBe(1)
  })

  test('judges by the bar, whichever side of it is good', () => {
    const measurements = [
      copy('mixed', 'our backup', 5, { storedBytes: 1000 }),
      copy('mixed', 'tar backup', 6, { storedBytes: 1000 }),
    ]
    const judgements = judge(reportOf({ ...NOTHING, measurements, runs: [run(RUNS.plain)] }))
    const of = (key: string) => judgements.find((one) => one.key === key)
    expect(of('backupVsTarZstd')).toMatchObject({ bar: 1.3, holds: false })
    expect(of('storedVsTarZstd')).toMatchObject({ reached: 1, holds: true })
    expect(of('maxRssMiB')).toMatchObject({ reached: 200, holds: true })
    expect(of('historyEvents')).toMatchObject({ reached: 70, holds: true })
    expect(of('restoreVsVitess')).toMatchObject({ reached: null, holds: null })
  })
})

describe('what is printed', () => {
  const measurements = [
    ...[4, 6, 5].map((seconds) => copy('mixed', 'our backup', seconds)),
    copy('mixed', 'tar backup', 8, { syncSeconds: null }),
  ]
  const judgements = judge(reportOf({ ...NOTHING, measurements }))

  test('shows bars with their units, and what was not measured as that', () => {
    const shown = judgements.map((one) => `${one.key} ${showBar(one)} ${showReached(one)}`)
    expect(shown).toContain('backupVsTarZstd ≥ 1.30 1.60')
    expect(shown).toContain('maxRssMiB ≤ 220 MiB not measured')
    expect(shown).toContain('pageCheckShare ≤ 8.0 % not measured')
    expect(shown).toContain('historyEvents ≤ 120 not measured')
    expect(barsTable(judgements)).toMatch(/backup copy against tar .* ≥ 1\.30 +1\.60 +yes/)
  })

  test('sums up each contender by medians, with the spread', () => {
    expect(summaryTable(measurements)).toMatch(
      /mixed: our backup +5\.00 +4\.00 to 6\.00 +1\.00 +10\.00 +10\.00 +100 +200/,
    )
    expect(summaryTable(measurements)).toMatch(/mixed: tar backup +8\.00 +8\.00 to 8\.00 +16\.00/)
  })

  test('draws only what was measured, and whether it holds', () => {
    const svg = chartOf(judgements, '2026-11-25, a machine with <2> cores')
    expect(svg).toContain('backup copy against tar | zstd')
    expect(svg).not.toContain('vttablet')
    expect(svg).toContain('&lt;2&gt;')
    expect(svg.match(/<rect x=/g)).toHaveLength(judgements.filter(({ reached }) => reached !== null).length)
  })
})
