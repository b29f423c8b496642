// npm run chaos: every fault in every step of every workflow, on real servers. Ends with 1 when anything did not survive.
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { barsOf } from './bars.ts'
import { allCases, type Case, needsOf } from './cases.ts'
import { chooseCases } from './choose.ts'
import { asMarkdown, asText, matrixOf, withReport } from './matrix.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { obstacles } from './places.ts'
import type { Result } from './result.ts'
import { appendResult, readResults } from './results-file.ts'
import { runCases } from './run-cases.ts'

const began = new Date()
const print = (text: string): void => void process.stdout.write(`${text}\n`)

const options = readOptions()
const lacking = await obstacles()
const possible = allCases().filter((one) => needsOf(one).every((need) => !lacking.has(need)))
for (const [need, why] of lacking) print(`cases that need ${need} are left out: ${why}`)
const chosen = casesOf(options, possible)
const { results: file } = options
const before = file === undefined ? [] : survivorsOf((await readResults(file, possible)).results)
const done = new Set(before.map((one) => one.case.id))
const cases = chosen.filter(({ id }) => !done.has(id))
print(`${chosen.length} of ${possible.length} cases, seed ${options.seed}, ${options.worlds} at once`)
if (before.length > 0) print(`${chosen.length - cases.length} of them are known to survive`)

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    print(`${signal}: ends after the cases that are under way`)
    stopping.abort()
  })
}
const canMount = !lacking.has('mounts')
const record = async (result: Result): Promise<void> => {
  if (file !== undefined) await appendResult(file, result)
}
const ran = await runCases({ cases, ...options, canMount, signal: stopping.signal, print, record })
const results = [...before.filter((one) => chosen.includes(one.case)), ...ran]
const failedBefore = file === undefined ? [] : (await readResults(file, possible)).failedBefore

const rows = matrixOf(results)
const bars = barsOf(results)
print(`\n${asText(rows)}\n`)
for (const { text, isHeld } of bars) print(`${isHeld ? 'OK    ' : 'MISSED'} ${text}`)
if (options.report !== undefined) {
  const page = await readFile(options.report, 'utf8')
  await writeFile(options.report, withReport(page, [summary(results), asMarkdown(rows), barLines()].join('\n\n')))
}
process.exitCode = bars.every(({ isHeld }) => isHeld) && ran.length === cases.length ? 0 : 1

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2), allCases())
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`)
    process.exit(2)
  }
}

function casesOf({ only, faults, runs, seed }: Options, from: readonly Case[]): Case[] {
  if (only !== undefined) return Array.from({ length: runs }, () => only)
  const wanted = from.filter(({ fault }) => faults.length === 0 || faults.includes(fault))
  return chooseCases(wanted, runs, seed)
}

function survivorsOf(known: readonly Result[]): Result[] {
  return known.filter((one) => one.survived)
}

function summary(of: readonly Result[]): string {
  const day = began.toISOString().slice(0, 10)
  const minutes = Math.round(of.reduce((sum, { seconds }) => sum + seconds, 0) / 60)
  const how = `seed ${options.seed}, ${options.worlds} at once on ${availableParallelism()} cores; ${minutes} minutes of cases`
  return `${day}: ${of.length} of ${possible.length} cases, ${how}.`
}

function barLines(): string {
  return [
    ...bars.map(({ text, isHeld }) => `- ${isHeld ? '' : '**missed** '}${text}`),
    ...failedBefore.map((id) => `- had failed before and was run again: \`${id}\``),
  ].join('\n')
}
