import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** A long-running command of tabletkeeper in a process of its own. */
export interface ChildCommand extends AsyncDisposable {
  /** Resolves when its log says that it is ready; never, when it ends before. */
  readonly ready: Promise<void>
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>
}

export interface ChildOptions {
  /** The program's file; default: that of this process. */
  readonly cli?: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Everything that it logs is appended here. */
  readonly logFile: string
  readonly onMessage: (message: string) => void
}

/** Longer than a worker's grace time for its activities. */
const END_TIMEOUT = 30_000

/** Starts the command line again with `args`, as this process was started. Ended by SIGTERM, and by force when that takes too long. */
export function startCommand({ cli, args, environment, logFile, onMessage }: ChildOptions): ChildCommand {
  const child = spawn(process.execPath, [...process.execArgv, cli ?? process.argv[1] ?? '', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  })
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.write(`${line}\n`)
    const { message, event } = readLogLine(line)
    onMessage(message)
    if (event === 'ready') ready.resolve()
  })
  child.once('close', (code, signal) => {
    log.end()
    onMessage(`ended with ${code ?? signal}; its log is ${logFile}`)
    ended.resolve()
  })
  return {
    ready: ready.promise,
    ended: ended.promise,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT)
      await exit
      clearTimeout(force)
    },
  }
}

/** A line of the structured log; anything else is its own message. */
function readLogLine(line: string): { readonly message: string; readonly event: string | undefined } {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed !== 'object' || parsed === null || !('msg' in parsed)) return { message: line, event: undefined }
    return { message: String(parsed.msg), event: 'event' in parsed ? String(parsed.event) : undefined }
  } catch {
    return { message: line, event: undefined }
  }
}
