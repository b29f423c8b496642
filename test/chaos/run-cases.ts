import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Account } from './account.ts'
import { recordAftermath } from './aftermath.ts'
import type { Case } from './cases.ts'
import { ChaosWorld } from './chaos-world.ts'
import { runCase, takeFirstBackup } from './one-case.ts'
import { compileProgram } from './program.ts'
import type { Result } from './result.ts'

export interface RunOptions {
  readonly cases: readonly Case[]
  readonly seed: number
  /** How many are run at once. */
  readonly worlds: number
  readonly canMount: boolean
  /** Begins no case any more. */
  readonly signal: AbortSignal
  readonly print: (line: string) => void
  /** Keeps what came of a case. */
  readonly record: (result: Result) => Promise<void>
}

/**
 * Runs cases, several at once, one after the other in each world: what one leaves is where the next begins. A world in which a case failed
 * is given up, and its logs are kept.
 * @throws what kept a world from being started; the other worlds run their cases first
 */
export async function runCases(options: RunOptions): Promise<Result[]> {
  const { cases, seed, print, signal } = options
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-chaos-'))
  await using program = await compileProgram()
  const waiting = [...cases]
  const results: Result[] = []
  let worlds = 0

  const open = async () => {
    worlds += 1
    const place = join(directory, String(worlds))
    const world = await ChaosWorld.start({ directory: place, cli: program.cli, canMount: options.canMount })
    const account = new Account()
    try {
      await takeFirstBackup(world, account)
    } catch (error) {
      await close(world)
      throw error
    }
    return { world, account, place }
  }
  const close = async (world: ChaosWorld): Promise<void> => {
    await world[Symbol.asyncDispose]().catch((error: unknown) => print(`not all of a world could be ended: ${error}`))
  }
  const line = async (): Promise<void> => {
    let stage: Awaited<ReturnType<typeof open>> | undefined
    try {
      for (;;) {
        const one = signal.aborted ? undefined : waiting.shift()
        if (one === undefined) break
        stage ??= await open()
        const result = await runCase(stage.world, stage.account, one, seed)
        results.push(result)
        await options.record(result)
        print(describe(result, results.length, cases.length))
        if (result.survived) continue
        print(`  again: npm run chaos -- --seed ${seed} --only '${one.id}'\n  its logs: ${stage.place}`)
        await recordAftermath(stage.world.scenery)
        await close(stage.world)
        stage = undefined
      }
    } finally {
      if (stage !== undefined) {
        await close(stage.world)
        await rm(stage.place, { recursive: true, force: true })
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.min(options.worlds, cases.length) }, line))
  await rmdir(directory).catch(() => undefined)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return results
}

function describe(result: Result, count: number, of: number): string {
  const { case: one, hit, seconds } = result
  const head = `${String(count).padStart(String(of).length)}/${of} ${result.survived ? 'ok    ' : 'FAILED'} ${one.id.padEnd(44)}`
  const where = hit === one.step ? '' : `struck at ${hit}; `
  if (!result.survived) return `${head} ${where}${result.because} (${seconds.toFixed(0)} s)`
  const { recovery, run } = result
  const back = `back in ${recovery.seconds.toFixed(1)} s, mysqld ${recovery.mysqldSeconds.toFixed(1)} s`
  return `${head} ${where}${back}; run ${run} (${seconds.toFixed(0)} s)`
}
