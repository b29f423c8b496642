import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { TabletkeeperError } from '../model/errors.ts'
import { isCode } from './system-error.ts'

/** A program that was started and may have ended. */
export interface StartedProgram {
  /** What was run, for people. */
  readonly command: string
  /** It leads a session and a process group of this number. */
  readonly pid: number
  /** How it ended, such as `exit status 1`; undefined while it runs. */
  ended(): string | undefined
}

export const SUCCESS = 'exit status 0'

/**
 * Starts a program in a session of its own, which lives on when this process ends. What it prints is appended to the file `output`.
 * @throws InvalidConfig when there is no such program
 */
export async function startProgram(
  program: string,
  argv: readonly string[],
  { output, environment }: { readonly output: string; readonly environment: NodeJS.ProcessEnv },
): Promise<StartedProgram> {
  await using file = await open(output, 'a', 0o640)
  const child = spawn(program, argv, {
    cwd: '/',
    detached: true,
    env: environment,
    stdio: ['ignore', file.fd, file.fd],
  })
  let how: string | undefined
  child.once('exit', (status, signal) => {
    how = status === null ? `signal ${signal}` : `exit status ${status}`
  })
  let pid: number
  try {
    pid = await new Promise<number>((resolve, reject) => {
      child.once('spawn', () => resolve(child.pid ?? 0))
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
  return { pid, command: [program, ...argv].join(' '), ended: () => how }
}
