import { FAULTS, WORKFLOWS } from './cases.ts'
import type { Result } from './result.ts'

/** Fault by workflow: how many cases survived of how many, and the seconds to recover, at the median and at worst. */
export function matrixOf(results: readonly Result[]): string[][] {
  const rows = FAULTS.map((fault) => ({ name: fault, results: results.filter((one) => one.case.fault === fault) }))
  const all = [...rows.filter((row) => row.results.length > 0), { name: 'all', results }]
  const header = ['fault', ...WORKFLOWS, 'all']
  return [
    header,
    ...all.map((row) => [
      row.name,
      ...WORKFLOWS.map((workflow) => cellOf(row.results.filter((one) => one.case.workflow === workflow))),
      cellOf(row.results),
    ]),
  ]
}

/** Columns of one width. */
export function asText(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function asMarkdown(rows: readonly (readonly string[])[]): string {
  const [header = [], ...body] = rows
  const lines = [header, header.map((_, column) => (column === 0 ? '---' : '--:')), ...body]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

export const REPORT_BEGINS = '<!-- chaos: written by npm run chaos -- --report -->'
export const REPORT_ENDS = '<!-- chaos: end -->'

/** @throws Error when the page has no place for it */
export function withReport(page: string, report: string): string {
  const [before, after] = [page.indexOf(REPORT_BEGINS), page.indexOf(REPORT_ENDS)]
  if (before < 0 || after < before) throw new Error(`the page has no line ${REPORT_BEGINS} before ${REPORT_ENDS}`)
  return `${page.slice(0, before)}${REPORT_BEGINS}\n\n${report.trim()}\n\n${page.slice(after)}`
}

/** The middle of them; of an even number the upper one of both in the middle. */
export function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}

function cellOf(results: readonly Result[]): string {
  if (results.length === 0) return '–'
  const survived = results.filter((one) => one.survived)
  const seconds = survived.map((one) => one.recovery.seconds)
  const times =
    seconds.length === 0 ? [] : [medianOf(seconds), Math.max(...seconds)].map((one) => `${one.toFixed(1)} s`)
  return [`${survived.length}/${results.length}`, ...times].join(', ')
}
