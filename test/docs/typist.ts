import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { provideTemporal } from '../../sandbox/provide-temporal.ts'
import type { World } from '../integration/world.ts'
import type { Exchange } from './pages.ts'
import { align, namesIn, shapeOf } from './shape.ts'

const CLI = join(import.meta.dirname, '../../client/cli.ts')

/**
 * Types what a page shows, in a real shell, against a world. A page is one story: where a command names a backup or a run that an earlier
 * one has printed, its name of today is typed.
 */
export class Typist {
  readonly #world: World
  readonly #programs: string
  readonly #names = new Map<string, string>()
  #status = 0

  private constructor(world: World, programs: string) {
    this.#world = world
    this.#programs = programs
  }

  static async at(world: World): Promise<Typist> {
    const programs = join(world.directory, 'programs')
    await mkdir(programs, { recursive: true })
    const program = async (name: string, command: string): Promise<void> => {
      await writeFile(join(programs, name), `#!/bin/sh\nexec ${command} "$@"\n`)
      await chmod(join(programs, name), 0o755)
    }
    await program('tabletkeeper', `'${process.execPath}' '${CLI}'`)
    await program('temporal', `'${await provideTemporal()}'`)
    return new Typist(world, programs)
  }

  /**
   * Types a command and compares what it prints with what the page shows, if it shows anything. Returns what it printed.
   * @throws Error when they differ in shape, or when it fails and the page does not ask `echo $?` next
   */
  async type({ where, command, printed }: Exchange, next: Exchange | undefined): Promise<string> {
    const typed = this.#today(command)
    const output = await this.run(`(exit ${this.#status}); ${typed}`)
    const lines = output.trimEnd().split('\n')
    const pairs = printed.length === 0 ? [] : align(printed, lines, hostname())
    const isFailureMeant = next?.command === 'echo $?'
    if (pairs === undefined || (this.#status !== 0) !== isFailureMeant) {
      const list = (all: readonly string[]) => all.map((line) => `  ${shapeOf(line, hostname())}`).join('\n')
      throw new Error(
        `${where}: ${typed}\nshown:\n${list(printed)}\nprinted, with status ${this.#status}:\n${list(lines)}\n${output}`,
      )
    }
    for (const [shown, real] of pairs) this.#learn(shown, real)
    return output
  }

  /** Runs a script as it is and returns everything that it prints. */
  async run(script: string): Promise<string> {
    const child = spawn('bash', ['-c', `exec 2>&1; ${script}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        PATH: `${this.#programs}:${process.env['PATH']}`,
        TABLETKEEPER_CONFIG: this.#world.configPath,
        TEMPORAL_ADDRESS: this.#world.temporal.address,
      },
    })
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
    this.#status = child.exitCode ?? 1
    return output
  }

  #learn(shown: string, real: string): void {
    const today = namesIn(real)
    for (const [at, name] of namesIn(shown).entries()) this.#names.set(name, today[at] ?? name)
  }

  #today(command: string): string {
    return namesIn(command).reduce((typed, name) => typed.replaceAll(name, this.#names.get(name) ?? name), command)
  }
}
