import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '../../sandbox/wait-until.ts'

/** `RestartSec` of a systemd unit. */
const RESTART_AFTER = 1_000
const READY = '"event":"ready"'

export interface ServiceOptions {
  /** The command line's file. */
  readonly cli: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly log: string
}

/** A process of tabletkeeper that is run as systemd runs it: when it ends it is started again, until it is stopped. */
export class Service implements AsyncDisposable {
  readonly #options: ServiceOptions
  #child: ChildProcess | undefined
  #isWanted = true
  /** Whether its end was asked for here. */
  #isEnding = false
  #ends = 0
  /** Where its present start begins in the log. */
  #logFrom = 0
  #startedAt = 0
  #restarting: Promise<void> = Promise.resolve()

  private constructor(options: ServiceOptions) {
    this.#options = options
  }

  /** Resolves when it says that it is ready. */
  static async start(options: ServiceOptions): Promise<Service> {
    const service = new Service(options)
    await service.#spawn()
    try {
      await service.ready()
    } catch (error) {
      await service.stop()
      throw error
    }
    return service
  }

  /** Of the present process. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** How often it has ended by itself. */
  get ends(): number {
    return this.#ends
  }

  /** Waits until the present process, or the one that is about to be started, is ready. */
  async ready(): Promise<void> {
    await this.#restarting
    await waitUntil(`${this.#options.args[0]} is ready (${this.#options.log})`, async () => {
      const text = await readFile(this.#options.log)
      return text.subarray(this.#logFrom).includes(READY)
    })
  }

  /** Ends the process as a crash does; resolves when another was started, a second later, with the time of that. */
  async kill(): Promise<number> {
    await this.#end('SIGKILL')
    await this.#restarting
    return this.#startedAt
  }

  /** Ends it as systemd does, for good. */
  async stop(): Promise<void> {
    this.#isWanted = false
    await this.#restarting
    await this.#end('SIGTERM')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    this.#isEnding = true
    const exit = once(child, 'exit')
    child.kill(signal)
    const force = setTimeout(() => child.kill('SIGKILL'), 30_000)
    await exit
    clearTimeout(force)
  }

  async #spawn(): Promise<void> {
    const { cli, args, environment, log } = this.#options
    await using output = await open(log, 'a', 0o600)
    this.#logFrom = (await stat(log)).size
    this.#startedAt = Date.now()
    const child = spawn(process.execPath, [cli, ...args], {
      stdio: ['ignore', output.fd, output.fd],
      env: { ...process.env, ...environment },
    })
    this.#child = child
    this.#isEnding = false
    child.once('exit', () => {
      if (!this.#isEnding) this.#ends += 1
      if (this.#isWanted) this.#restarting = this.#again()
    })
    await once(child, 'spawn')
  }

  async #again(): Promise<void> {
    await delay(RESTART_AFTER)
    if (this.#isWanted) await this.#spawn()
  }
}
