import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { waitUntil } from './wait-until.ts'

const LOG_TAIL_LINES = 15

export interface BackgroundOptions {
  readonly program: string
  readonly arguments: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Takes what it prints. */
  readonly log: string
  /** Whether it answers by now. */
  readonly isReady: () => Promise<boolean>
}

/** A server that runs beside us until it is stopped. */
export interface BackgroundProgram {
  readonly pid: number
  /** Ends it by SIGTERM, if it runs, and waits until it has ended. */
  stop(): Promise<void>
  /** Ends it as a crash does. */
  kill(): Promise<void>
}

/**
 * Starts a server and waits until it is ready.
 * @throws NotFound with the end of its log; it does not run then
 */
export async function startInBackground(options: BackgroundOptions): Promise<BackgroundProgram> {
  const output = await open(options.log, 'a')
  const child = spawn(options.program, options.arguments, {
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
    env: { ...process.env, ...options.environment },
  })
  try {
    await once(child, 'spawn')
    await waitUntil(`${options.program} is ready`, async () => {
      if (hasEnded(child))
        throw new TabletkeeperError('NotFound', `it ended with ${child.exitCode ?? child.signalCode}`)
      return await options.isReady().catch(() => false)
    })
  } catch (error) {
    await end(child, 'SIGKILL')
    const tail = (await readFile(options.log, 'utf8')).trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
    throw new TabletkeeperError('NotFound', `${options.program} did not start: ${messageOf(error)}\n${tail}`, {
      cause: error,
    })
  } finally {
    child.unref()
    await output.close()
  }
  return { pid: child.pid ?? 0, stop: () => end(child, 'SIGTERM'), kill: () => end(child, 'SIGKILL') }
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return
  child.kill(signal)
  await waitUntil(`process ${child.pid} has ended`, () => hasEnded(child))
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
