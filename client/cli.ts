#!/usr/bin/env node
import { CommanderError } from 'commander'
import { type Act, buildProgram } from './grammar.ts'
import { describeFailure, EXIT, renderFailure } from './output/failure.ts'
import { jsonDocument } from './output/json.ts'
import { processTerminal } from './output/terminal.ts'
import { normalizeVitessFlags } from './vitess-flags.ts'

const terminal = processTerminal()

const act: Act = async ({ config, json = false }, call) => {
  try {
    process.exitCode = await call({ terminal, configPath: config, json })
  } catch (error) {
    const { exitCode, trace: _trace, ...failure } = describeFailure(error)
    if (json) terminal.data(jsonDocument({ error: { ...failure, exitCode } }))
    for (const line of renderFailure(describeFailure(error), terminal.notePaint)) terminal.note(line)
    process.exitCode = exitCode
  }
}

const program = buildProgram(act).exitOverride()
for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) command.exitOverride()
try {
  await program.parseAsync(normalizeVitessFlags(process.argv.slice(2)), { from: 'user' })
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Help and version end with 0; everything else that commander refuses is a mistake in how it was called.
  process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage
}
