import { readFile } from 'node:fs/promises'
import { messageOf } from '../../model/errors.ts'
import type { Account } from './account.ts'
import type { Case } from './cases.ts'
import type { ChaosWorld } from './chaos-world.ts'
import { emptyVictim } from './empty-victim.ts'
import { assertNothingLeft } from './leftovers.ts'
import { CrashCount } from './mysqld-crashes.ts'
import { randomOf } from './random.ts'
import { awaitBack, startSeconds } from './recovery.ts'
import type { Recovery, Result } from './result.ts'
import { awaitClosed, startRun } from './runs.ts'
import { assertSameData } from './same-data.ts'
import { awaitMoment } from './step-watch.ts'
import { type Struck, strike } from './strike.ts'

/** In which a tablet has to be back. A mysqld whose disk was full looks again after a minute only. */
const BACK_WITHIN = 120_000
/** A step outside a lease that its agent left is tried again when its heartbeat times out, after a minute. */
const CLOSED_WITHIN = 180_000
const UNDISTURBED = 90_000

/** Runs one case and everything that has to hold after it, and leaves a tablet in service and a fresh backup behind. */
export async function runCase(world: ChaosWorld, account: Account, one: Case, seed: number): Promise<Result> {
  const began = Date.now()
  const seconds = (): number => (Date.now() - began) / 1000
  let hit = 'nothing yet'
  try {
    const random = randomOf(seed, one.id)
    await prepare(world, one)
    const { scenery } = world
    const mysqldCrashes = await CrashCount.of(scenery.victim.errorLog)
    const endsBefore = world.agent.ends + scenery.control.ends
    const run = await startRun(scenery, one.workflow, account)
    hit = await awaitMoment(scenery.victim, run, one, random)
    const recovery = await timed(world, one, await strike(world, run, one, random))
    await Promise.all([world.agent.ready(), scenery.control.ready()])
    const { result, end } = await awaitClosed(scenery, run, CLOSED_WITHIN)
    await assertSound(world, account, one)
    if (result !== undefined && result.backup !== null && !isBackup(one)) account.proven(result.backup)
    await assertUsable(world, account, one, mysqldCrashes)
    const crashes = world.agent.ends + scenery.control.ends - endsBefore
    const ended = crashes === 0 ? end : `${end}; ${crashes} processes ended by themselves`
    return { case: one, hit, seconds: seconds(), survived: true, run: ended, recovery }
  } catch (error) {
    return { case: one, hit, seconds: seconds(), survived: false, because: messageOf(error) }
  }
}

/** A fresh world's first backup, from which restores can be made. */
export async function takeFirstBackup(world: ChaosWorld, account: Account): Promise<void> {
  await world.useMode('none')
  await succeed(world, account, 'backup', await CrashCount.of(world.scenery.victim.errorLog))
  await account.audit(world.scenery, false)
}

async function prepare(world: ChaosWorld, { workflow }: Case): Promise<void> {
  await world.useMode(workflow === 'backup-reflink' ? 'reflink' : 'none')
  if (workflow === 'bootstrap') await emptyVictim(world.scenery)
}

async function timed({ scenery }: ChaosWorld, { workflow }: Case, struck: Struck): Promise<Recovery> {
  const { from, back = await awaitBack(scenery, workflow, BACK_WITHIN) } = struck
  const log = await readFile(scenery.victim.errorLog, 'utf8')
  return { seconds: Math.max(0, back - from) / 1000, mysqldSeconds: startSeconds(log, from, back) }
}

/** What has to hold when the run is over. */
async function assertSound({ scenery }: ChaosWorld, account: Account, { workflow, fault }: Case): Promise<void> {
  // A run that was never told to wait may have gone on after the tablet was seen back.
  await awaitBack(scenery, workflow, BACK_WITHIN)
  if (await scenery.victim.hasData()) await assertSameData(scenery)
  // Nobody is left who would clean up after a run that was cut off: `list` shows what it has stored as incomplete.
  await account.audit(scenery, fault === 'terminate' || fault === 'reset')
  await assertNothingLeft(scenery)
}

/** The tablet can be used as if nothing had been: a bootstrap that came to nothing succeeds now, and so does the next backup. */
async function assertUsable(world: ChaosWorld, account: Account, one: Case, crashes: CrashCount): Promise<void> {
  const { scenery } = world
  if (!(await scenery.victim.hasData())) {
    await succeed(world, account, 'bootstrap', crashes)
    await assertSameData(scenery)
  }
  await succeed(world, account, isBackup(one) ? one.workflow : 'backup', crashes)
  await account.audit(scenery, false)
  await awaitBack(scenery, 'backup', UNDISTURBED)
}

/**
 * Each time that mysqld has ended by itself since the case began excuses one run that failed: InnoDB gives up some seconds after a full disk
 * kept it from truncating an undo tablespace.
 */
async function succeed(
  { scenery }: ChaosWorld,
  account: Account,
  workflow: Case['workflow'],
  crashes: CrashCount,
): Promise<void> {
  for (;;) {
    const run = await startRun(scenery, workflow, account)
    const { result, end } = await awaitClosed(scenery, run, UNDISTURBED)
    if (result !== undefined) return
    if (!(await crashes.hasGrown())) throw new Error(`the ${workflow} after it did not succeed: ${end}`)
    await awaitBack(scenery, workflow, UNDISTURBED)
  }
}

function isBackup({ workflow }: Case): boolean {
  return workflow === 'backup' || workflow === 'backup-reflink'
}
