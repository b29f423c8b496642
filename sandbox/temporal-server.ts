import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Connection } from '@temporalio/client'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { SEARCH_ATTRIBUTES } from '../model/runs.ts'
import { freePort, isFree } from './free-port.ts'
import { provideTemporal } from './provide-temporal.ts'
import { waitUntil } from './wait-until.ts'

export interface TemporalOptions {
  /**
   * Holds the server's database and log, so that a server started there again knows its workflows; made when it is not
   * there.
   */
  readonly directory: string
  /** Default: a free one. */
  readonly port?: number
  /** Default: there is no web UI. */
  readonly uiPort?: number
  /** Default: `default`. */
  readonly namespace?: string
}

/**
 * Temporal's dev server on 127.0.0.1, in a session of its own: it outlives whoever started it, unless it is stopped.
 */
export interface TemporalServer extends AsyncDisposable {
  /** `127.0.0.1:<port>`, as TEMPORAL_ADDRESS wants it. */
  readonly address: string
  readonly namespace: string
  readonly uiAddress: string | undefined
  readonly pid: number
  readonly log: string
  stop(): Promise<void>
  /** Ends it as a crash does. */
  kill(): Promise<void>
}

/**
 * Starts Temporal's dev server, with our search attributes registered, and waits until it answers.
 * @throws NotFound when it cannot be had (as `provideTemporal`) or does not start, with the end of its log; Refused
 * when a port is taken
 */
export async function startTemporal(options: TemporalOptions): Promise<TemporalServer> {
  const { directory, uiPort, namespace = 'default' } = options
  const program = await provideTemporal()
  const port = options.port ?? (await freePort())
  // Another server there would answer in the place of ours.
  for (const wanted of [port, ...(uiPort === undefined ? [] : [uiPort])]) await assertFree(wanted)
  const address = `127.0.0.1:${port}`
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const log = join(directory, 'temporal.log')
  const output = await open(log, 'a', 0o600)
  const server = spawn(
    program,
    [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'warn'],
      ...['--db-filename', join(directory, 'temporal.db'), '--namespace', namespace],
      ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort), '--ui-disable-news-fetch']),
      ...SEARCH_ATTRIBUTES.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    ],
    { detached: true, stdio: ['ignore', output.fd, output.fd] },
  )
  try {
    await once(server, 'spawn')
    await waitUntil(`Temporal answers at ${address}`, () => answers(server, address, namespace))
  } catch (error) {
    await end(server, 'SIGKILL')
    // A Go program that panics tells why before a long stack.
    const told = (await readFile(log, 'utf8')).trimEnd().split('\n')
    const tail = told.find((line) => line.includes('level=ERROR')) ?? told.slice(-10).join('\n')
    throw new TabletkeeperError('NotFound', `Temporal's dev server did not start: ${messageOf(error)}\n${tail}`, {
      cause: error,
    })
  } finally {
    server.unref()
    await output.close()
  }
  const stop = () => end(server, 'SIGTERM')
  return {
    address,
    namespace,
    uiAddress: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`,
    pid: server.pid ?? 0,
    log,
    stop,
    kill: () => end(server, 'SIGKILL'),
    [Symbol.asyncDispose]: stop,
  }
}

async function assertFree(port: number): Promise<void> {
  if (await isFree(port)) return
  throw new TabletkeeperError(
    'Refused',
    `port ${port} of 127.0.0.1 is taken: Temporal's dev server cannot listen there`,
    {
      hint: 'End what listens there, or choose another port.',
    },
  )
}

async function answers(server: ChildProcess, address: string, namespace: string): Promise<boolean> {
  if (hasEnded(server)) throw new TabletkeeperError('NotFound', `it ended with ${server.exitCode ?? server.signalCode}`)
  let connection: Connection
  try {
    connection = await Connection.connect({ address, connectTimeout: 500 })
  } catch {
    return false
  }
  try {
    await connection.workflowService.describeNamespace({ namespace })
    return true
  } catch {
    return false
  } finally {
    await connection.close()
  }
}

async function end(server: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (server.pid === undefined || hasEnded(server)) return
  server.kill(signal)
  await waitUntil('Temporal has ended', () => hasEnded(server))
}

function hasEnded(server: ChildProcess): boolean {
  return server.exitCode !== null || server.signalCode !== null
}
