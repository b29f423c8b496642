import { parseArgs } from 'node:util'
import { type Case, FAULTS, type Fault } from './cases.ts'

export interface Options {
  readonly runs: number
  readonly seed: number
  /** How many are run at once, each in a world of its own. */
  readonly worlds: number
  /** Of which the cases are; all when there is none. */
  readonly faults: readonly Fault[]
  /** The one case that is run, as often as `runs` says. */
  readonly only: Case | undefined
  /** A Markdown file whose table is replaced by the result. */
  readonly report: string | undefined
  /** A file that gets what came of each case, and tells what is known already: cases that survived by it are not run again. */
  readonly results: string | undefined
}

export const USAGE =
  'npm run chaos -- [--runs N] [--seed S] [--worlds W] [--fault FAULT]… [--only CASE] [--report FILE] [--results FILE]'

/** @throws Error that says which argument is wrong */
export function parseOptions(argv: readonly string[], cases: readonly Case[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: 'string' },
      seed: { type: 'string', default: '1' },
      worlds: { type: 'string', default: '3' },
      fault: { type: 'string', multiple: true, default: [] },
      only: { type: 'string' },
      report: { type: 'string' },
      results: { type: 'string' },
    },
  })
  const { runs = values.only === undefined ? String(cases.length) : '1' } = values
  return {
    runs: numberOf('--runs', runs, 1),
    seed: numberOf('--seed', values.seed, 0),
    worlds: numberOf('--worlds', values.worlds, 1),
    faults: values.fault.map(faultOf),
    only: values.only === undefined ? undefined : caseOf(values.only, cases),
    report: values.report,
    results: values.results,
  }
}

function numberOf(name: string, text: string, least: number): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= least) return number
  throw new Error(`${name} ${text}: write a whole number from ${least} up`)
}

function faultOf(text: string): Fault {
  const found = FAULTS.find((fault) => fault === text)
  if (found === undefined) throw new Error(`--fault ${text}: there are ${FAULTS.join(', ')}`)
  return found
}

function caseOf(id: string, cases: readonly Case[]): Case {
  const found = cases.find((one) => one.id === id)
  if (found !== undefined) return found
  const [workflow = '', step = ''] = id.split('/')
  const near = cases.filter((one) => one.workflow === workflow && (one.step === step || step === ''))
  throw new Error(
    `there is no case ${id}; there are ${(near.length > 0 ? near : cases)
      .slice(0, 15)
      .map((one) => one.id)
      .join(', ')}, …`,
  )
}
