import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { MysqlConfig } from '../../model/config.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { formatDuration, type Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { privateFolder, privateFolderPath } from '../data/private-folder.ts'
import type { ServerLayout } from '../settings/my-cnf.ts'
import { type LockHolder, lockHolder } from '../system/file-lock.ts'
import { isCode, orMissing } from '../system/system-error.ts'
import { LogMark } from './error-log.ts'
import { mysqldEnvironment, runAs } from './mysqld-program.ts'
import { inheritsRunLock, isRunLockHeld, takeRunLock } from './run-lock.ts'
import { greets } from './server-socket.ts'
import { startFailure, tellService, unitOf } from './service.ts'
import { type StartedProgram, SUCCESS, startProgram } from './started-program.ts'

export { restartPolicy } from './service.ts'

export interface MysqldOptions extends Pick<MysqlConfig, 'mysqld' | 'defaultsFile' | 'service'> {
  readonly layout: ServerLayout
}

export interface WaitOptions {
  /** Ends the wait; mysqld goes on with what it was told. Aborted before, it is told nothing. */
  readonly signal: AbortSignal
  readonly timeout: Milliseconds
}

export interface StartOptions extends WaitOptions {
  /**
   * Arguments after `--defaults-file`. A service gives mysqld its own ones, so they hold only where the agent runs mysqld itself; what has to
   * hold everywhere is in `mysqld-auto.cnf`. Of `--init-file=…` it is promised: its statements were executed, whoever runs mysqld.
   */
  readonly extraArguments: readonly string[]
}

const LOOK_EVERY = 50
/** A mysqld that starts lets go of its locks for a moment (150 ms seen) before it takes them for good. */
const GONE_AFTER = 10_000
const TAIL_LINES = 20
const INIT_FILE = '--init-file='
/** What mysqld logs of a statement of an init file that failed. It leaves out the rest of the file, and goes on (seen on 9.7). */
const FAILED_STATEMENT = /\[MY-000061\]\s*(?:\[Server\])?\s*(.*)/

/** The mysqld of one data directory: observed by the lock that it holds, started and stopped by whatever runs it. */
export class Mysqld {
  readonly #options: MysqldOptions

  constructor(options: MysqldOptions) {
    this.#options = options
  }

  /**
   * Whether a mysqld, whoever started it and in whichever container, works on the data files: it holds locks. Its pid and name play no part.
   * One that the agent starts counts from the beginning; any other only when it has its locks for good, some 100 ms later.
   */
  async isRunning(): Promise<boolean> {
    return (await this.#holder())?.kind === 'process' || (await isRunLockHeld(this.#options.layout.datadir))
  }

  /** The systemd service that a running mysqld belongs to, where that can be seen and is another than this process's own. */
  async foreignUnit(): Promise<string | undefined> {
    const pid = await this.#pid()
    if (pid === undefined) return undefined
    const [unit, own] = await Promise.all([unitOf(pid), unitOf(process.pid)])
    return unit === own ? undefined : unit
  }

  /**
   * Starts mysqld and waits until it greets. When one runs, only waits.
   * @throws MysqldFailed when it ends, does not greet in time, or could not execute its init file: with the end of its error log. What still
   * starts up is left alone, except after a failed init file: then it is stopped again, so that another try executes the file.
   * @throws InvalidConfig when there is no such program or service
   */
  async start(options: StartOptions): Promise<void> {
    const { service } = this.#options
    const { extraArguments } = options
    // Started by an agent that died before it stopped it again: without network, and outside its service.
    if (service.kind !== 'own' && (await isRunLockHeld(this.#options.layout.datadir)))
      await this.#stopDirectly(undefined, options)
    if (await this.isRunning()) return await this.#awaitGreeting(await this.#mark(), async () => undefined, options)
    if (service.kind === 'own') return await this.#startDirectly(extraArguments, options)
    if (extraArguments.some(isInitFile)) {
      await this.#startDirectly([...extraArguments, '--skip-networking'], options)
      await this.#stopDirectly(undefined, options)
    }
    const mark = await this.#mark()
    const told = await tellService(service, 'start', await this.#output())
    await this.#awaitGreeting(mark, () => startFailure(service, told), options)
  }

  /**
   * Stops mysqld and waits until it has ended, however long its shutdown takes; it is never killed. A service is told to stop it.
   * @param connection where SHUTDOWN is sent. Without one, the process that holds the data files gets SIGTERM, which is as clean
   * @throws MysqldFailed when it still runs after the timeout, or cannot be told
   */
  async stop(connection: MysqlConnection | undefined, options: WaitOptions): Promise<void> {
    const { service } = this.#options
    const isOwn = service.kind === 'own' || (await isRunLockHeld(this.#options.layout.datadir))
    if (isOwn) return await this.#stopDirectly(connection, options)
    const pid = await this.#pid()
    const output = await this.#output()
    options.signal.throwIfAborted()
    const told = await tellService(service, 'stop', output)
    await this.#awaitStop(pid, options, told)
  }

  /**
   * Waits until no mysqld works on the data files.
   * @throws MysqldFailed when one still does after the timeout
   */
  async stopped(options: WaitOptions): Promise<void> {
    await this.#awaitStop(await this.#pid(), options)
  }

  async #startDirectly(argv: readonly string[], options: WaitOptions): Promise<void> {
    const mark = await this.#mark()
    const program = await this.#launch(argv)
    const failure = async () => {
      if (program !== undefined) return program.ended() === undefined ? undefined : `it ended with ${program.ended()}`
      return (await this.isRunning()) ? undefined : 'it ended'
    }
    await this.#awaitGreeting(mark, failure, options)
    if (program !== undefined) await this.#endLoser(program)
    if (argv.some(isInitFile)) await this.#assertInitialized(mark, options)
  }

  /**
   * Where somebody else's mysqld was started in the same moment and got the files, ours waits for them (100 s on 9.7) and would come up as soon as
   * that one stops. It has touched nothing yet, and while it waits it hears no SIGTERM.
   */
  async #endLoser(program: StartedProgram): Promise<void> {
    const pid = await this.#pid()
    const isOurs =
      pid === undefined || pid === program.pid || (await inheritsRunLock(pid, this.#options.layout.datadir))
    if (!isOurs) signalProcess(program.pid, 'SIGKILL')
  }

  /** Nothing is launched, and undefined returned, when a mysqld that was launched before is there. */
  async #launch(argv: readonly string[]): Promise<StartedProgram | undefined> {
    const { mysqld, defaultsFile, layout } = this.#options
    await using lock = await takeRunLock(layout.datadir)
    if (lock === undefined) return undefined
    return await startProgram(mysqld, [`--defaults-file=${defaultsFile}`, ...(await runAs(layout)), ...argv], {
      output: await this.#output(),
      environment: mysqldEnvironment(),
      inherits: lock.descriptor,
    })
  }

  async #assertInitialized(mark: LogMark, options: WaitOptions): Promise<void> {
    const lines = await mark.linesSince()
    const failed = lines.map((line) => FAILED_STATEMENT.exec(line)?.[1]).find((text) => text !== undefined)
    if (failed === undefined) return
    // Also when it was aborted meanwhile: the next start would find it running, and take the file for executed.
    const pid = await this.#pid()
    await this.#tellToStop(undefined, pid)
    await this.#awaitStop(pid, options)
    throw this.#failed(`could not execute its init file: ${failed}`, [], {
      hint: 'It was stopped again. For an account that logs in by auth_socket, the configuration needs plugin-load-add=auth_socket.so.',
      retryable: false,
    })
  }

  async #stopDirectly(connection: MysqlConnection | undefined, options: WaitOptions): Promise<void> {
    const pid = await this.#pid()
    if (!(await this.isRunning())) return
    options.signal.throwIfAborted()
    await this.#tellToStop(connection, pid)
    await this.#awaitStop(pid, options)
  }

  async #tellToStop(connection: MysqlConnection | undefined, pid: number | undefined): Promise<void> {
    if (connection !== undefined) await connection.execute('SHUTDOWN')
    else if (pid !== undefined) signalProcess(pid, 'SIGTERM')
    else {
      throw this.#failed('cannot be told to stop: nobody can log in, and its process is in another container', [], {
        hint: 'Stop it there.',
      })
    }
  }

  async #awaitGreeting(
    mark: LogMark,
    failure: () => Promise<string | undefined>,
    { signal, timeout }: WaitOptions,
  ): Promise<void> {
    const deadline = performance.now() + timeout
    let seen = Number.POSITIVE_INFINITY
    for (;;) {
      signal.throwIfAborted()
      const isRunning = await this.isRunning()
      if (isRunning && (await greets(this.#options.layout.socket))) return
      if (isRunning) seen = performance.now()
      const why = (await failure()) ?? (performance.now() - seen > GONE_AFTER ? 'it ended' : undefined)
      if (why !== undefined) throw this.#failed(`did not start: ${why}`, await mark.linesSince())
      if (performance.now() > deadline) {
        throw this.#failed(`did not start within ${formatDuration(timeout)}`, await mark.linesSince())
      }
      await delay(LOOK_EVERY, undefined, { signal })
    }
  }

  /** Its locks are free a moment before the process, its socket and its pid file are gone: a start just then would fail. */
  async #awaitStop(pid: number | undefined, { signal, timeout }: WaitOptions, told?: StartedProgram): Promise<void> {
    const deadline = performance.now() + timeout
    let toldAt: number | undefined
    for (;;) {
      signal.throwIfAborted()
      const how = told?.ended()
      if (how !== undefined && how !== SUCCESS) {
        throw this.#failed(`was not stopped: ${told?.command} ended with ${how}`)
      }
      const isOver = !(await this.isRunning()) && (pid === undefined || (await hasEnded(pid)))
      if (isOver && (told === undefined || how === SUCCESS)) return
      if (how === SUCCESS) toldAt ??= performance.now()
      if (told !== undefined && toldAt !== undefined && performance.now() - toldAt > GONE_AFTER)
        this.#assertStopped(told)
      if (performance.now() > deadline) {
        throw this.#failed(`still runs ${formatDuration(timeout)} after it was told to stop`, [], {
          hint: 'It was not killed: that would lose what a clean stop writes. Its error log tells what it waits for.',
        })
      }
      await delay(LOOK_EVERY, undefined, { signal })
    }
  }

  /** A command may leave the stop to others; systemctl returns when everything in the unit has ended. */
  #assertStopped({ command }: StartedProgram): void {
    if (this.#options.service.kind !== 'systemd') return
    throw this.#failed(`still runs, although ${command} has succeeded: it is not in that unit`, [], {
      hint: "Something else has started it; systemctl status with its pid says what. Name its unit in 'mysql.service'.",
      retryable: false,
    })
  }

  async #holder(): Promise<LockHolder | undefined> {
    return await orMissing(lockHolder(this.#options.layout.systemTablespace))
  }

  async #pid(): Promise<number | undefined> {
    const holder = await this.#holder()
    return holder?.kind === 'process' ? holder.pid : undefined
  }

  async #output(): Promise<string> {
    await privateFolder(this.#options.layout.datadir)
    return this.#outputPath()
  }

  #outputPath(): string {
    return join(privateFolderPath(this.#options.layout.datadir), 'mysqld.out')
  }

  async #mark(): Promise<LogMark> {
    const { errorLog } = this.#options.layout
    return await LogMark.atEndOf(errorLog === undefined ? [this.#outputPath()] : [this.#outputPath(), errorLog])
  }

  #failed(
    what: string,
    lines: readonly string[] = [],
    options: { readonly hint?: string; readonly retryable?: boolean } = {},
  ): TabletkeeperError {
    const { layout, service } = this.#options
    const journal = service.kind === 'systemd' ? `journalctl --unit ${service.unit}` : this.#outputPath()
    const message = [`mysqld on ${layout.datadir} ${what}`, ...lines.slice(-TAIL_LINES)].join('\n')
    return new TabletkeeperError('MysqldFailed', message, {
      hint: `Look at ${layout.errorLog ?? journal}.`,
      ...options,
    })
  }
}

function isInitFile(argument: string): boolean {
  return argument.startsWith(INIT_FILE)
}

function signalProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It has ended in the meantime, which is what was wanted.
    if (!isCode(error, 'ESRCH')) throw error
  }
}

/** A zombie has ended: nobody may ever collect it. */
async function hasEnded(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [, state = 'X'] = /\) (\S)/.exec(stat) ?? []
  return state === 'X' || state === 'Z'
}
