import { Runtime } from '@temporalio/worker'
import pino, { type Logger } from 'pino'

/** The structured log of a process: one JSON line per event on stderr, since stdout is for data. */
export function createLog(
  role: 'agent' | 'control' | 'tabletkeeper',
  level: string = process.env['LOG_LEVEL'] ?? 'info',
): Logger {
  return pino(
    { level, base: { role }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  )
}

let installed = false

/** Sends what Temporal's SDK has to say into the same log: that of the first worker in this process. */
export function installRuntime(log: Logger): void {
  if (installed) return
  installed = true
  const sdk = log.child({ event: 'temporal' })
  const write =
    (level: 'trace' | 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, meta?: object): void =>
      sdk[level](meta ?? {}, message)
  Runtime.install({
    logger: {
      trace: write('trace'),
      debug: write('debug'),
      // The SDK reports each worker state as info; ours are enough.
      info: write('debug'),
      // An agent's workers run activities only, and the SDK warns of each.
      warn: (message, meta) => write(message.startsWith('No workflows registered') ? 'debug' : 'warn')(message, meta),
      error: write('error'),
      log: (level, message, meta) =>
        sdk[level === 'ERROR' ? 'error' : level === 'WARN' ? 'warn' : 'debug'](meta ?? {}, message),
    },
    shutdownSignals: [],
  })
}
