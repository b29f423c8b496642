// npm run bench: how fast backups and restores are, beside what people use today, on this machine and in one run. See README.md.
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isError, messageOf } from '../model/errors.ts'
import { findProgram } from '../sandbox/command.ts'
import { hasVitess, provideVitess } from '../sandbox/provide-vitess.ts'
import { type Judgement, judge } from './bars.ts'
import { chartOf } from './chart.ts'
import { contestRuns } from './contest-runs.ts'
import { contestShape } from './contest-shape.ts'
import type { Limit } from './limit.ts'
import { describeMachine, type Machine } from './machine.ts'
import { isShape, type Options, type Part, parseOptions, USAGE } from './options.ts'
import { barsTable, describe, lineOf, summaryTable } from './print.ts'
import { type Report, reportOf } from './report.ts'
import type { Measurement } from './rounds.ts'
import { contestS3 } from './s3.ts'
import { contestSmallFiles } from './small-files.ts'
import type { WholeRunFigures } from './whole-run.ts'

/** Of zstd, for everybody. */
const LEVEL = 1

const interrupted = new AbortController()
// Servers and gigabytes are there to be removed: it ends after the run that is under way, or at once when that is interrupted too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error(signal)))
}

try {
  const options = parseOptions(process.argv.slice(2), fileURLToPath(new URL('results', import.meta.url)))
  if (options === 'help') process.stdout.write(USAGE)
  else await bench(options)
} catch (error) {
  if (interrupted.signal.aborted) {
    process.stderr.write('interrupted: nothing was written\n')
    process.exitCode = 130
  } else if (!isError(error)) throw error
  else {
    process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `hint: ${error.hint}\n`}`)
    process.exitCode = 1
  }
}

async function bench(options: Options): Promise<void> {
  if (options.buildVitess) await provideVitess()
  const withVitess = options.withVitess && (await hasVitess()) && (await findProgram('etcd')) !== undefined
  const place = await mkdtemp(join(options.directory, 'tabletkeeper-bench-'))
  // Vitess runs as another user.
  await chmod(place, 0o711)
  const begin = new Date()
  try {
    const machine = await describeMachine(place)
    process.stdout.write(`${describe(machine)}\n${describeOptions(options)}\n`)
    const measurements: Measurement[] = []
    const limits: Limit[] = []
    const runs: WholeRunFigures[] = []
    const { signal } = interrupted
    const { rounds, concurrency, patience } = options
    const common = { rounds, concurrency, patience, level: LEVEL, directory: place, signal, seen: show }
    const measure = async (part: Part): Promise<void> => {
      if (isShape(part)) {
        const megabytes = part === 'huge' ? options.megabytes * 1.5 : options.megabytes
        const only =
          part === 'mixed'
            ? { withTar: true, withLimit: true, withVitess: false }
            : { withTar: !withVitess, withLimit: false, withVitess }
        const shape = await contestShape({ ...common, ...only, shape: part, megabytes })
        measurements.push(...shape.measurements)
        limits.push(...shape.limits)
      } else if (part === 'small-files') {
        measurements.push(...(await contestSmallFiles({ ...common, count: options.smallFiles })))
      } else if (part === 's3') {
        measurements.push(...(await contestS3({ ...common, megabytes: options.megabytes })))
      } else {
        runs.push(...(await contestRuns({ ...options, directory: place, signal, seen: showRun })))
      }
    }
    for (const part of partsToMeasure(options, withVitess)) {
      try {
        await measure(part)
      } catch (error) {
        signal.throwIfAborted()
        // What the other parts take an hour for is not to be lost.
        process.stderr.write(`the part ${part} failed, and counts as not measured: ${messageOf(error)}\n`)
        process.exitCode = 1
      }
    }
    const report = reportOf({ measurements, limits, runs, cores: machine.cores })
    const judgements = judge(report)
    process.stdout.write(`\n${summaryTable(measurements)}\n\n${barsTable(judgements)}\n`)
    const { s3RequestsPerGB } = report.more
    if (s3RequestsPerGB !== null)
      process.stdout.write(`requests for each GB of data to S3: ${s3RequestsPerGB.toFixed(0)}\n`)
    await write({ begin, options, machine, report, judgements, measurements, limits, runs })
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

/** Many tables and one huge one are there for Vitess's sake. */
function partsToMeasure({ parts, named }: Options, withVitess: boolean): Part[] {
  if (withVitess) return [...parts]
  process.stderr.write('Vitess is left out: it is not there, and --vitess would build it\n')
  return [...parts].filter((part) => named || (part !== 'many' && part !== 'huge'))
}

function describeOptions({ megabytes, rounds, concurrency, smallFiles, sparseGigabytes }: Options): string {
  return `${megabytes} MiB, ${rounds} rounds, concurrency ${concurrency}, ${smallFiles} small files, a sparse file of ${sparseGigabytes} GiB`
}

function show(measurement: Measurement): void {
  process.stdout.write(`${lineOf(measurement)}\n`)
}

function showRun(run: WholeRunFigures): void {
  const {
    name,
    seconds,
    downtimeBeyondStopStartSeconds: down,
    agentMaxRssBytes,
    agentIdleRssBytes,
    historyEvents,
    files,
  } = run
  process.stdout.write(
    `run: ${name}: ${files} files, ${seconds.toFixed(1)} s, mysqld down ${down.toFixed(3)} s beyond stop and start, ` +
      `agent ${(agentMaxRssBytes / 1024 ** 2).toFixed(0)} MiB (${(agentIdleRssBytes / 1024 ** 2).toFixed(0)} before), ${historyEvents} events\n`,
  )
}

interface Results {
  readonly begin: Date
  readonly options: Options
  readonly machine: Machine
  readonly report: Report
  readonly judgements: readonly Judgement[]
  readonly measurements: readonly Measurement[]
  readonly limits: readonly Limit[]
  readonly runs: readonly WholeRunFigures[]
}

async function write({
  begin,
  options,
  machine,
  report,
  judgements,
  measurements,
  limits,
  runs,
}: Results): Promise<void> {
  const { megabytes, rounds, concurrency, smallFiles, sparseGigabytes, parts } = options
  const date = begin.toISOString()
  const document = {
    date,
    minutes: Math.round((Date.now() - begin.getTime()) / 60_000),
    machine,
    options: { megabytes, rounds, concurrency, level: LEVEL, smallFiles, sparseGigabytes, parts: [...parts] },
    ...report,
    bars: judgements,
    rounds: measurements,
    limits,
    runs,
  }
  await mkdir(options.results, { recursive: true })
  await writeFile(join(options.results, 'latest.json'), `${JSON.stringify(document, null, 2)}\n`)
  const caption = `${date.slice(0, 10)}, ${describe(machine)}`
  await writeFile(join(options.results, 'latest.svg'), chartOf(judgements, caption))
}
