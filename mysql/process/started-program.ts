import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { TabletkeeperError } from '../../model/errors.ts'
import { isCode } from '../system/system-error.ts'

/** A program that was started and may have ended. */
export interface StartedProgram {
  /** What was run, for people. */
  readonly command: string
  readonly pid: number
  /** How it ended, such as `exit status 1`; undefined while it runs. */
  ended(): string | undefined
}

export const SUCCESS = 'exit status 0'

export interface ProgramOptions {
  /** A file to which what the program prints is appended. */
  readonly output: string
  readonly environment: NodeJS.ProcessEnv
  /** An open file that it inherits as number 3. */
  readonly inherits?: number
}

/**
 * Starts a program in a session of its own, which lives on when this process ends.
 * @throws InvalidConfig when there is no such program
 */
export async function startProgram(
  program: string,
  argv: readonly string[],
  { output, environment, inherits }: ProgramOptions,
): Promise<StartedProgram> {
  await using file = await open(output, 'a', 0o600)
  const child = spawn(program, argv, {
    cwd: '/',
    detached: true,
    env: environment,
    stdio: ['ignore', file.fd, file.fd, ...(inherits === undefined ? [] : [inherits])],
  })
  let how: string | undefined
  child.once('exit', (status, signal) => {
    how = status === null ? `signal ${signal}` : `exit status ${status}`
  })
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
  } catch (error) {
    if (!isCode(error, 'ENOENT', 'EACCES')) throw error
    throw new TabletkeeperError('InvalidConfig', `there is no program ${program} that this user can run`, {
      hint: "Correct 'mysql.mysqld' or 'mysql.service'.",
      cause: error,
    })
  }
  child.unref()
  if (child.pid === undefined) throw new TabletkeeperError('MysqldFailed', `${program} was started and has no pid`)
  return { command: [program, ...argv].join(' '), pid: child.pid, ended: () => how }
}
