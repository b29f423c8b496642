import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { formatDuration, type Milliseconds } from '../model/units.ts'
import type { MysqlConnection } from './admin.ts'
import { lockHolder } from './file-lock.ts'
import type { ServerLayout } from './my-cnf.ts'
import { mysqldEnvironment } from './mysqld-program.ts'
import { privateFolder } from './private-folder.ts'

const run = promisify(execFile)
const POLL = 100
const TAIL_BYTES = 64 * 1024
const TAIL_LINES = 12

/** Who starts and stops mysqld: the agent itself, a systemd unit, or commands for the shell. */
export type MysqldService =
  | { readonly kind: 'own' }
  | { readonly kind: 'systemd'; readonly unit: string }
  | { readonly kind: 'commands'; readonly start: string; readonly stop: string }

export interface MysqldOptions {
  readonly mysqld: string
  readonly defaultsFile: string
  readonly layout: ServerLayout
  readonly service: MysqldService
}

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly timeout: Milliseconds
}

/** The mysqld of one data directory, whoever started it. */
export class Mysqld {
  readonly #options: MysqldOptions

  constructor(options: MysqldOptions) {
    this.#options = options
  }

  /** Whether a mysqld runs on these data: it holds a lock on the system tablespace, also where its pid cannot be seen. */
  async isRunning(): Promise<boolean> {
    const { systemTablespace } = this.#options.layout
    return existsSync(systemTablespace) && (await lockHolder(systemTablespace))?.kind === 'process'
  }

  /**
   * Starts mysqld unless it runs, and resolves when it takes connections. `extraArguments` reach a mysqld that the agent starts itself;
   * whoever else starts it goes by what is persisted in the data directory. Aborted, it stops waiting: mysqld may still come up.
   * @throws MysqldFailed with the end of the error log when mysqld ends before, or does not answer in time
   */
  async start(options: WaitOptions & { readonly extraArguments: readonly string[] }): Promise<void> {
    const since = await this.#errorLogSize()
    const deadline = Date.now() + options.timeout
    const ended = (await this.isRunning()) ? undefined : await this.#launch(options.extraArguments)
    for (;;) {
      options.signal.throwIfAborted()
      if ((await this.isRunning()) && (await answers(this.#options.layout.socket))) return
      if (ended?.() === true && !(await this.isRunning()))
        throw await this.#startFailed('it ended while it started', since)
      if (Date.now() > deadline)
        throw await this.#startFailed(`it did not answer for ${formatDuration(options.timeout)}`, since)
      await delay(POLL, undefined, { signal: options.signal })
    }
  }

  /**
   * Stops mysqld and resolves when it is gone; it is never killed. Aborted, it stops waiting: mysqld still stops.
   * @throws MysqldFailed when it runs on after `timeout`
   */
  async stop(connection: MysqlConnection, options: WaitOptions): Promise<void> {
    const { service } = this.#options
    if (service.kind === 'own') await connection.execute('SHUTDOWN')
    else await runService(service, 'stop')
    const deadline = Date.now() + options.timeout
    while (await this.isRunning()) {
      if (Date.now() > deadline) {
        throw new TabletkeeperError(
          'MysqldFailed',
          `mysqld on ${this.#options.layout.datadir} still stops after ${formatDuration(options.timeout)}`,
          {
            hint: 'It was not killed: a killed mysqld may lose what it has not written. Look at its error log.',
          },
        )
      }
      await delay(POLL, undefined, { signal: options.signal })
    }
  }

  /** Answers whether what was launched has ended; undefined for services that only report that they were asked. */
  async #launch(extraArguments: readonly string[]): Promise<(() => boolean) | undefined> {
    const { service, mysqld, defaultsFile, layout } = this.#options
    if (service.kind !== 'own') {
      await runService(service, 'start')
      return undefined
    }
    const output = await open(join(await privateFolder(layout.datadir), 'mysqld.out'), 'a', 0o600)
    try {
      // A session of its own: it lives on when the agent ends.
      const child = spawn(mysqld, [`--defaults-file=${defaultsFile}`, ...extraArguments], {
        detached: true,
        stdio: ['ignore', output.fd, output.fd],
        env: mysqldEnvironment(),
      })
      let ended = false
      child.on('exit', () => {
        ended = true
      })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', (cause) => reject(cannotRun(mysqld, cause)))
      })
      child.unref()
      return () => ended
    } finally {
      await output.close()
    }
  }

  async #errorLogSize(): Promise<number> {
    const { errorLog } = this.#options.layout
    return errorLog === undefined
      ? 0
      : await stat(errorLog).then(
          ({ size }) => size,
          () => 0,
        )
  }

  async #startFailed(what: string, since: number): Promise<TabletkeeperError> {
    const { layout } = this.#options
    const path = layout.errorLog ?? join(layout.datadir, '.tabletkeeper', 'mysqld.out')
    const tail = await tailOf(path, since)
    return new TabletkeeperError(
      'MysqldFailed',
      `mysqld on ${layout.datadir} did not start: ${what}${tail === '' ? '' : `\n${tail}`}`,
      {
        hint: `Look at ${path}.`,
      },
    )
  }
}

/** What systemd does when a unit's process ends: `no`, `on-failure`, `always`, … @throws InvalidConfig when it cannot be asked */
export async function restartPolicy(unit: string): Promise<string> {
  try {
    const { stdout } = await run('systemctl', ['show', '--property=Restart', '--value', unit])
    return stdout.trim()
  } catch (cause) {
    throw new TabletkeeperError('InvalidConfig', `systemd cannot be asked about ${unit}: ${messageOf(cause)}`, {
      cause,
      hint: "Leave 'mysql.service' out where systemd does not run mysqld.",
    })
  }
}

async function runService(service: Exclude<MysqldService, { kind: 'own' }>, what: 'start' | 'stop'): Promise<void> {
  const [program, ...argv] =
    service.kind === 'systemd' ? ['systemctl', what, service.unit] : ['/bin/sh', '-c', service[what]]
  try {
    await run(program ?? '', argv, { maxBuffer: TAIL_BYTES })
  } catch (cause) {
    throw new TabletkeeperError('MysqldFailed', `${argv.join(' ')} failed: ${messageOf(cause)}`, {
      cause,
      hint: 'Run that command by hand on this host.',
    })
  }
}

async function answers(socket: string): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const client = createConnection(socket)
    const end = (answer: boolean) => {
      client.destroy()
      resolve(answer)
    }
    client
      .once('data', () => end(true))
      .once('error', () => end(false))
      .once('close', () => end(false))
    client.setTimeout(2_000, () => end(false))
  })
}

async function tailOf(path: string, since: number): Promise<string> {
  const text = await readFile(path).then(
    (bytes) => bytes.subarray(Math.max(since, bytes.length - TAIL_BYTES)).toString(),
    () => '',
  )
  return text.trim().split('\n').slice(-TAIL_LINES).join('\n')
}

function cannotRun(mysqld: string, cause: Error): TabletkeeperError {
  return new TabletkeeperError('InvalidConfig', `${mysqld} cannot be run: ${cause.message}`, {
    cause,
    hint: "Set 'mysql.mysqld' to the server program, such as /usr/sbin/mysqld.",
  })
}
