import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { TabletkeeperError } from '../model/errors.ts'
import type { Shape } from './data-set.ts'

/** What can be measured alone: copies of each shape, many small files, whole backups through Temporal. */
export const PARTS = ['mixed', 'many', 'huge', 'small-files', 's3', 'runs'] as const
export type Part = (typeof PARTS)[number]

export interface Options {
  readonly parts: ReadonlySet<Part>
  /** Whether the command line named the parts. */
  readonly named: boolean
  /** MiB of all tables of a data set; the shape `huge` has half as much again, so that its one table has so much. */
  readonly megabytes: number
  readonly rounds: number
  readonly smallFiles: number
  /** GiB of the sparse file. */
  readonly sparseGigabytes: number
  readonly concurrency: number
  /** How long each run waits for a quiet machine, in milliseconds. */
  readonly patience: number
  /** Build Vitess when it is not there. */
  readonly buildVitess: boolean
  readonly withVitess: boolean
  /** Where runs write. */
  readonly directory: string
  /** Where the results go. */
  readonly results: string
}

export const USAGE = `npm run bench -- [options]

  --size MB           size of the data set; default 2048
  --shape SHAPE       mixed | many | huge: only these copies (may be given again)
  --part PART         ${PARTS.join(' | ')}: only these parts (may be given again)
  --rounds N          default 7
  --concurrency N     threads, and files at once of vttablet; default: the number of cores
  --small-files N     how many; default 100000; 0 leaves that part out
  --vitess            build Vitess where it is not in VITESS_BIN, on PATH or in the cache (minutes)
  --no-vitess         leave Vitess out
  --directory DIR     where runs write, 10 GB with the default size; default /var/tmp
  --results DIR       default bench/results
  --quick             a small data set, 3 rounds, few small files: whether it works, not how fast
`

const DEFAULTS = { size: '2048', rounds: '7', smallFiles: '100000', sparse: 20, patience: 30_000 }
const QUICK = { size: '128', rounds: '3', smallFiles: '2000', sparse: 2, patience: 1_000 }

/**
 * Reads the command line.
 * @throws InvalidInput that says which option is wrong
 */
export function parseOptions(commandLine: readonly string[], results: string): Options | 'help' {
  const { values } = parse(commandLine)
  if (values.help) return 'help'
  const defaults = values.quick ? QUICK : DEFAULTS
  const smallFiles = number('small-files', values['small-files'] ?? defaults.smallFiles, 0)
  const named = [...(values.shape ?? []), ...(values.part ?? [])].map(parsePart)
  const parts = new Set(named.length > 0 ? named : PARTS)
  if (smallFiles === 0) parts.delete('small-files')
  return {
    parts,
    named: named.length > 0,
    megabytes: number('size', values.size ?? defaults.size, 32),
    rounds: number('rounds', values.rounds ?? defaults.rounds, 1),
    smallFiles,
    sparseGigabytes: defaults.sparse,
    concurrency: number('concurrency', values.concurrency ?? String(availableParallelism()), 1),
    patience: defaults.patience,
    buildVitess: values.vitess,
    withVitess: !values['no-vitess'],
    directory: values.directory,
    results: values.results ?? results,
  }
}

function parse(commandLine: readonly string[]) {
  try {
    return parseArgs({
      args: [...commandLine],
      options: {
        help: { type: 'boolean', default: false },
        size: { type: 'string' },
        shape: { type: 'string', multiple: true },
        part: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        concurrency: { type: 'string' },
        'small-files': { type: 'string' },
        vitess: { type: 'boolean', default: false },
        'no-vitess': { type: 'boolean', default: false },
        directory: { type: 'string', default: '/var/tmp' },
        results: { type: 'string' },
        quick: { type: 'boolean', default: false },
      },
    })
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause))
  }
}

function number(option: string, text: string, least: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least) return value
  throw invalid(`--${option} takes a whole number from ${least} up, not ${JSON.stringify(text)}`)
}

function parsePart(text: string): Part {
  const part = PARTS.find((name) => name === text)
  if (part !== undefined) return part
  throw invalid(`${JSON.stringify(text)} is no part; they are ${PARTS.join(', ')}`)
}

export function isShape(part: Part): part is Extract<Part, Shape> {
  return part === 'mixed' || part === 'many' || part === 'huge'
}

function invalid(message: string): TabletkeeperError {
  return new TabletkeeperError('InvalidInput', message, { hint: 'npm run bench -- --help' })
}
