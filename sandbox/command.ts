import { execFile } from 'node:child_process'
import { access, constants, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'

const DEADLINE = 10 * 60_000
const TAIL_LINES = 12

/**
 * Runs a program to its end and returns what it printed to stdout.
 * @param deadline after how many milliseconds it is ended
 * @throws NotFound with the last lines that it printed, when it is not there, fails, or takes longer than that
 */
export async function runCommand(
  program: string,
  commandArguments: readonly string[],
  { cwd, deadline = DEADLINE }: { readonly cwd?: string; readonly deadline?: number } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      timeout: deadline,
      maxBuffer: 64 << 20,
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    }
    execFile(program, commandArguments, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const printed = `${stdout}\n${stderr}`.trim().split('\n').slice(-TAIL_LINES).join('\n')
      reject(
        new TabletkeeperError(
          'NotFound',
          `${program} ${commandArguments[0] ?? ''} failed (${error.code ?? error.signal}):\n${printed}`,
          { cause: error },
        ),
      )
    })
  })
}

/** The first executable file called `name` in PATH, then in `alsoIn`. */
export async function findProgram(name: string, alsoIn: readonly string[] = []): Promise<string | undefined> {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '')
  for (const directory of [...directories, ...alsoIn]) {
    const program = join(directory, name)
    if (await isExecutable(program)) return program
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
