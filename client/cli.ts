#!/usr/bin/env node
import './thread-pool.ts'
import { CommanderError } from 'commander'
import { TabletkeeperError } from '../model/errors.ts'
import { type Act, buildProgram } from './grammar.ts'
import { describeFailure, EXIT, failureDocument, renderFailure, type ShownFailure } from './output/failure.ts'
import { jsonDocument } from './output/json.ts'
import { processTerminal } from './output/terminal.ts'
import { normalizeVitessFlags } from './vitess-flags.ts'

const terminal = processTerminal()

const act: Act = async ({ config, json = false }, call) => {
  try {
    process.exitCode = await call({ terminal, configPath: config, json })
  } catch (error) {
    const failure = describeFailure(error)
    if (json) terminal.data(errorDocument(failure))
    for (const line of renderFailure(failure, terminal.notePaint)) terminal.note(line)
    process.exitCode = failure.exitCode
  }
}

function errorDocument(failure: ShownFailure): string {
  return jsonDocument({ error: failureDocument(failure) })
}

/** What commander refuses, told as everything else that fails. */
function misuse({ message }: CommanderError): TabletkeeperError {
  return new TabletkeeperError('InvalidInput', message.replace(/^error: /, ''))
}

const program = buildProgram(act).exitOverride()
for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) command.exitOverride()
try {
  await program.parseAsync(normalizeVitessFlags(process.argv.slice(2)), { from: 'user' })
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Help and version end with 0; everything else that commander refuses is a mistake in how it was called.
  process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (error.exitCode !== 0 && process.argv.includes('--json'))
    terminal.data(errorDocument(describeFailure(misuse(error))))
}
