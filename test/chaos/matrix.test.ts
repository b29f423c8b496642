import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { barsOf } from './bars.ts'
import { allCases } from './cases.ts'
import { asMarkdown, asText, matrixOf, medianOf, REPORT_BEGINS, REPORT_ENDS, withReport } from './matrix.ts'
import { crashesIn } from './mysqld-crashes.ts'
import { startSeconds } from './recovery.ts'
import type { Result } from './result.ts'
import { appendResult, readResults } from './results-file.ts'

const ID = 'backup/copyFiles/kill agent'

function resultOf(id: string, seconds: number | 'failed', mysqldSeconds = 0): Result {
  const [one] = allCases().filter((known) => known.id === id)
  if (one === undefined) throw new Error(`no case ${id}`)
  const base = { case: one, hit: one.step, seconds: 20 }
  if (seconds === 'failed') return { ...base, survived: false, because: 'mysqld does not run' }
  return { ...base, survived: true, run: 'completed', recovery: { seconds, mysqldSeconds } }
}

describe('the matrix', () => {
  const results = [
    resultOf('backup/copyFiles/kill agent', 4),
    resultOf('backup/rejoin/kill agent', 2.04),
    resultOf('backup/stopMysqld/kill agent', 9),
    resultOf('restore/swapData/kill agent', 'failed'),
    resultOf('restore/swapData/reset', 1),
  ]

  test('has a row for each fault that was tried: survived of cases, median, worst', () => {
    expect(matrixOf(results)).toEqual([
      ['fault', 'backup', 'backup-reflink', 'restore', 'bootstrap', 'all'],
      ['kill agent', '3/3, 4.0 s, 9.0 s', '–', '0/1', '–', '3/4, 4.0 s, 9.0 s'],
      ['reset', '–', '–', '1/1, 1.0 s, 1.0 s', '–', '1/1, 1.0 s, 1.0 s'],
      ['all', '3/3, 4.0 s, 9.0 s', '–', '1/2, 1.0 s, 1.0 s', '–', '4/5, 4.0 s, 9.0 s'],
    ])
  })

  test('is printed in columns, and as Markdown', () => {
    const rows = [
      ['fault', 'all'],
      ['kill', '1/1'],
    ]
    expect(asText(rows)).toBe('fault  all\nkill   1/1')
    expect(asMarkdown(rows)).toBe('| fault | all |\n| --- | --: |\n| kill | 1/1 |')
  })

  test('takes its place in a page, again and again', () => {
    const page = `# Title\n\n${REPORT_BEGINS}\n${REPORT_ENDS}\n\nend\n`
    const once = withReport(page, 'first')
    expect(once).toBe(`# Title\n\n${REPORT_BEGINS}\n\nfirst\n\n${REPORT_ENDS}\n\nend\n`)
    expect(withReport(once, 'second')).toBe(once.replace('first', 'second'))
    expect(() => withReport('# Title\n', 'first')).toThrow('no line')
  })

  test('knows medians', () => {
    expect(medianOf([9, 1, 5])).toBe(5)
    expect(medianOf([])).toBe(0)
  })
})

test('mysqld that ends by itself is told from one that is killed by its error log', () => {
  const crash = '2026-11-28T17:00:01Z UTC - mysqld got signal 6 ;'
  const again =
    '2026-11-28T17:00:01.528823Z 0 [System] [MY-013951] [Server] 2026-11-28T17:00:01Z UTC - mysqld got signal 6 ;'
  expect(crashesIn(`${crash}\nMost likely, you have hit a bug\n${again}\n`)).toBe(1)
  expect(crashesIn('2026-11-28T17:00:02Z 0 [System] [MY-015015] [Server] MySQL Server - start.\n')).toBe(0)
})

describe('a file of results', () => {
  test('knows the last result of each case, and which had failed before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tk-results-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = join(folder, 'results')
    expect(await readResults(file, allCases())).toEqual({ results: [], failedBefore: [] })
    const [failed, survived] = [resultOf(ID, 'failed'), resultOf(ID, 3)]
    const other = resultOf('restore/swapData/reset', 'failed')
    for (const one of [failed, other, survived]) await appendResult(file, one)
    expect(await readResults(file, allCases())).toEqual({ results: [survived, other], failedBefore: [ID] })
    await expect(readResults(file, [])).rejects.toThrow(`${file} has a case ${ID}, which is none`)
  })
})

describe('the bars', () => {
  test('are held when all survived in time', () => {
    const results = [
      resultOf('backup/copyFiles/kill agent', 35, 6),
      resultOf('backup/copyFiles/terminate', 16, 2),
      resultOf('backup/copyFiles/Temporal away', 44),
    ]
    expect(barsOf(results).map(({ isHeld }) => isHeld)).toEqual([true, true, true, true])
  })

  test.each([
    [resultOf('backup/copyFiles/kill all', 37, 6)],
    [resultOf('backup/copyFiles/terminate', 18, 2)],
    [resultOf('backup/copyFiles/Temporal away', 46)],
    [resultOf('backup/copyFiles/cancel', 'failed')],
  ])('are missed by one that took too long, or did not survive', (result) => {
    expect(barsOf([result]).filter(({ isHeld }) => !isHeld)).toHaveLength(1)
  })
})

test("mysqld's own starts are summed, those that succeeded and began in time", () => {
  const line = (second: string, code: string) => `2026-11-28T12:00:${second}Z 0 [System] [${code}] [Server] text`
  const log = [
    line('01.000000', 'MY-010116'),
    line('02.000000', 'MY-010931'),
    line('10.000000', 'MY-010116'),
    line('10.500000', 'MY-010119'),
    line('11.000000', 'MY-010116'),
    line('12.500000', 'MY-010931'),
    line('20.000000', 'MY-010116'),
    line('20.700000', 'MY-010931'),
    line('40.000000', 'MY-010116'),
    line('41.000000', 'MY-010931'),
  ].join('\n')
  const at = (second: number) => Date.parse('2026-11-28T12:00:00Z') + second * 1_000
  expect(startSeconds(log, at(5), at(30))).toBeCloseTo(2.2)
  expect(startSeconds('', at(5), at(30))).toBe(0)
})
