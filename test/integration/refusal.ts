import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type ErrorType, EXIT_CODES } from '../../model/errors.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { runKeeper } from './keeper-command.ts'
import type { World } from './world.ts'

export interface Refusal {
  readonly type: ErrorType
  readonly message: string | RegExp
  /** What to type or to look at. */
  readonly hint: string
}

/** The same for a run, which says that nothing was changed. */
export function ofARun(refusal: Refusal): Refusal {
  return { ...refusal, hint: `Nothing was changed. ${refusal.hint}` }
}

/** What must be the same after a refusal. */
export async function standingOf(primary: SampleTablet, replica: SampleTablet) {
  const isHeld = existsSync(join(replica.datadir, '.tabletkeeper/lease.json'))
  const pids = [await primary.pid(), await replica.pid()]
  if ((await replica.pid()) === undefined) return { pids, isHeld }
  const [mode] = await replica.query<object>(
    'SELECT @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly',
  )
  const [threads] = await replica.query<{ Replica_IO_Running: string; Replica_SQL_Running: string }>(
    'SHOW REPLICA STATUS',
  )
  const { Replica_IO_Running: io, Replica_SQL_Running: sql } = threads ?? {}
  return { pids, mode, io, sql, isHeld }
}

/** Runs a command that fails, and looks at what a person reads, at what a program reads, and at the tablets. */
export function refuses(world: World, primary: SampleTablet, replica: SampleTablet) {
  return async (args: readonly string[], { type, message, hint }: Refusal): Promise<void> => {
    const before = await standingOf(primary, replica)
    const { status, stdout, stderr } = await runKeeper(world, ...args, '--json')
    const exitCode = EXIT_CODES[type]
    const error = { type, exitCode, message: expect.stringMatching(message), hint: expect.stringContaining(hint) }
    expect(JSON.parse(stdout)).toMatchObject({ schema: 1, error })
    expect(status).toBe(exitCode)
    expect(stderr).toMatch(new RegExp(`^error ${type}( at [^:]+)?: `, 'm'))
    expect(stderr).toContain(`\n  ${JSON.parse(stdout).error.hint}`)
    expect(await standingOf(primary, replica)).toEqual(before)
    expect(before.isHeld).toBe(false)
  }
}
