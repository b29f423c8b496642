import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command line that runs. */
export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has written to stderr up to now. */
  stderr(): string
}

const CLI = join(import.meta.dirname, '../../client/cli.ts')

/** Starts the real command line in a process of its own, its output in pipes and nobody at the keyboard. */
export function startCli(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Started {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TABLETKEEPER_CONFIG: '', ...environment },
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const ended = Promise.all([once(child, 'close'), text(child.stdout)]).then(([, stdout]) => ({
    status: child.exitCode,
    stdout,
    stderr,
  }))
  return { child, ended, stderr: () => stderr }
}

/** Runs the real command line to its end. */
export function runCli(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return startCli(args, environment).ended
}

/**
 * Runs the real command line with `unread` in a pipe whose reader has gone away.
 * @returns its exit status, and what it wrote to the other stream
 */
export async function runUnread(
  unread: 'stdout' | 'stderr',
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ readonly status: number; readonly other: string }> {
  const directory = await temporaryDirectory()
  const redirection = unread === 'stdout' ? '2>other' : '2>&1 >other'
  const script = `mkfifo gone
    { read -r _ <gone; "$0" "$@" ${redirection}; echo $? >status; } | { exec <&-; echo >gone; }`
  await promisify(execFile)('sh', ['-c', script, process.execPath, CLI, ...args], {
    cwd: directory,
    env: { ...process.env, TABLETKEEPER_CONFIG: '', ...environment },
  })
  const [status, other] = await Promise.all(['status', 'other'].map((name) => readFile(join(directory, name), 'utf8')))
  return { status: Number(status), other: other ?? '' }
}

/** Writes a configuration of one shard, `commerce/0`, with a tablet 101, and returns its path. */
export async function writeConfig(directory: string, storageRoot: string): Promise<string> {
  const path = join(directory, 'tabletkeeper.yaml')
  await writeFile(
    path,
    `storage: { kind: file, root: ${storageRoot} }
mysql: { defaultsFile: /etc/mysql/my.cnf, replication: { user: repl, passwordFile: /etc/tabletkeeper/repl } }
shards:
  commerce/0:
    zone1-100: { host: db1 }
    zone1-101: { host: db2 }
`,
  )
  return path
}
