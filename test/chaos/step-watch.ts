import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { RunHandle } from '../../client/run-handle.ts'
import type { Lease } from '../../model/lease.ts'
import type { StepName } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { type Case, STEPS } from './cases.ts'
import type { Random } from './random.ts'

/** Activities that are called otherwise than their step. */
const STEP_OF: ReadonlyMap<string, StepName> = new Map([
  ['preflightBackup', 'preflight'],
  ['preflightRestore', 'preflight'],
])

/** How long steps take on the small data of the matrix, about, in milliseconds. The others take a few. */
const TYPICAL: Partial<Record<StepName, number>> = {
  ...{ preflight: 300, takeOutOfService: 300, stopMysqld: 1_000, copyFiles: 1_200, cloneFiles: 200, startMysqld: 800 },
  ...{ rejoin: 600, uploadFiles: 1_200, downloadFiles: 800, swapData: 60, confirmRestore: 60, dropReplaced: 100 },
}
const SHORT = 15
const LIMIT = 90_000

/** The lease of the run that holds a tablet, as it is on disk. */
export function leaseOf({ datadir }: Pick<SampleTablet, 'datadir'>): Promise<Lease | undefined> {
  return new LeaseFile(join(datadir, '.tabletkeeper')).read()
}

/**
 * Waits until the step of a case is under way, and then a part of its usual length that is drawn.
 * @returns what was under way at the end of that: the step itself, a later one, or that the run had ended
 */
export async function awaitMoment(
  victim: SampleTablet,
  run: RunHandle<unknown>,
  { workflow, step }: Case,
  random: Random,
): Promise<string> {
  const steps: readonly string[] = STEPS[workflow]
  const deadline = Date.now() + LIMIT
  for (;;) {
    const seen = await underWay(victim, run, steps)
    const at = seen === undefined ? undefined : steps.indexOf(seen)
    // What is none of its steps is its end, or its way back.
    if (at !== undefined && (at < 0 || at >= steps.indexOf(step))) break
    if (Date.now() > deadline) throw new Error(`${run.workflowId} did not come to ${step} within ${LIMIT / 1000} s`)
    await delay(2)
  }
  await delay(random() * (TYPICAL[step] ?? SHORT))
  return (await underWay(victim, run, steps)) ?? 'between steps'
}

/** The latest of the steps that the lease and Temporal tell of. */
async function underWay(
  victim: SampleTablet,
  run: RunHandle<unknown>,
  steps: readonly string[],
): Promise<string | undefined> {
  const [lease, status] = await Promise.all([leaseOf(victim).catch(() => undefined), run.status()])
  if (status.state !== 'running') return 'ended'
  const activity = status.activity?.step
  const told = activity === undefined ? undefined : (STEP_OF.get(activity) ?? activity)
  if (told !== undefined && !steps.includes(told)) return told
  const held = lease?.workflowId === run.workflowId ? lease.step?.name : undefined
  const known = [told, held].filter((name) => name !== undefined && steps.includes(name))
  return known.sort((a, b) => steps.indexOf(a ?? '') - steps.indexOf(b ?? '')).at(-1)
}
