import { type LogLevel, Runtime } from '@temporalio/worker'
import pino, { type Logger } from 'pino'

/** The structured log of a process: one JSON line per event on stderr, since stdout is for data. */
export function createLog(
  role: 'agent' | 'control' | 'tabletkeeper',
  level: string = process.env['LOG_LEVEL'] ?? 'info',
): Logger {
  return pino(
    { level, base: { role }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { log: withoutSecrets } },
    pino.destination({ fd: 2, sync: true }),
  )
}

/** Errors say what happened, and no more: those of a store's SDK hold what it was sent, keys included, where it refused a signature. */
function withoutSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? toldOf(value) : value]),
  )
}

interface ToldError {
  readonly type: string
  readonly message: string
  readonly stack: string | undefined
  readonly cause?: ToldError
}

function toldOf({ name, message, stack, cause }: Error): ToldError {
  return { type: name, message, stack, ...(cause instanceof Error ? { cause: toldOf(cause) } : {}) }
}

let installed = false

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** The SDK tells of an outage at each retry of each poll: dozens of lines in a few seconds. */
const OUTAGE_TOLD_EVERY = 60_000

/** Sends what Temporal's SDK has to say, its native part included, into the same log: that of the first worker in this process. */
export function installRuntime(log: Logger): void {
  if (installed) return
  installed = true
  const sdk = log.child({ event: 'temporal' })
  let outageToldAt = 0
  const write = (level: Level, message: string, meta: object = {}): void => {
    if (message.startsWith('gRPC call ')) {
      const isDue = Date.now() - outageToldAt >= OUTAGE_TOLD_EVERY
      if (isDue) outageToldAt = Date.now()
      sdk[isDue ? level : 'debug'](meta, `Temporal does not answer: ${message}`)
    } else if (message.startsWith('No workflows registered')) {
      // An agent's workers run activities only, and the SDK warns of each.
      sdk.debug(meta, message)
    } else {
      // The SDK reports each worker state as info; ours are enough.
      sdk[level === 'info' ? 'debug' : level](meta, message)
    }
  }
  Runtime.install({
    logger: {
      trace: (message, meta) => write('trace', message, meta),
      debug: (message, meta) => write('debug', message, meta),
      info: (message, meta) => write('info', message, meta),
      warn: (message, meta) => write('warn', message, meta),
      error: (message, meta) => write('error', message, meta),
      log: (level, message, meta) => write(LEVELS[level], message, meta),
    },
    telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
    shutdownSignals: [],
  })
}

const LEVELS: Readonly<Record<LogLevel, Level>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
}
