import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { RestoreResult } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { type CrashingAgent, startCrashingAgent } from './crashing-agent.ts'
import { expectOldData, expectRestored, type Standing, standingOf, startRestore } from './restored.ts'
import { startWorld, type World } from './world.ts'

/** What is on disk while a restore is at a point. */
interface OnDisk {
  readonly step: string | undefined
  readonly swap: string | undefined
  readonly staged: readonly string[]
  /** Old data that have left their place. */
  readonly aside: readonly string[]
}

/** Points at which the agent dies, or a moment later, and whether the run is sure to go on from there. */
const POINTS: readonly [name: string, isReached: (disk: OnDisk) => boolean, goesOn: boolean][] = [
  ['while it downloads', ({ step, staged }) => step === 'downloadFiles' && staged.length > 5, true],
  // New data that were all in place may not be told from those that a mysqld ran on.
  ['while it swaps', ({ swap, aside }) => (swap === 'swapping' && aside.length > 5) || swap === 'swapped', false],
  ['while the new mysqld starts', ({ step, swap }) => step === 'startMysqld' && swap === 'swapped', true],
  ['while the position is proven', ({ step }) => step === 'confirmRestore' || step === 'rejoin', true],
  ['while the tablet rejoins', ({ step }) => step === 'rejoin', true],
  [
    'while the old data are dropped',
    ({ step, swap }) => swap === 'committed' || (step === 'dropReplaced' && swap === undefined),
    true,
  ],
]

describe('an agent that is killed in the middle of a restore', () => {
  let world: World
  let tablet: SampleTablet

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    tablet = replica
    const agent = await world.startAgent(tablet.alias)
    await (await world.keeper.backup(world.input(tablet.alias))).result()
    await agent.stop()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** Kills the agent of a restore at a point, does what is to happen meanwhile, starts another agent, and checks what it makes of it. */
  async function killed(
    isReached: (disk: OnDisk) => boolean,
    meanwhile: (run: RunHandle<RestoreResult>) => Promise<void>,
    check: (run: RunHandle<RestoreResult>, before: Standing, health: string) => Promise<void>,
  ): Promise<void> {
    const before = await standingOf(tablet)
    await makeMuchToDrop(tablet)
    const agent = await startCrashingAgent(world, tablet)
    let next: CrashingAgent | undefined
    try {
      const run = await startRestore(world, tablet)
      await reached(tablet, isReached)
      await agent.kill()
      await meanwhile(run)
      next = await startCrashingAgent(world, tablet)
      await check(run, before, next.health)
    } finally {
      await agent.kill()
      await next?.stop()
    }
  }

  test.for(POINTS)('%s: the run goes on with the next one, or the old data are back', async ([, isReached, goesOn]) => {
    await killed(
      isReached,
      async () => {},
      async (run, before, health) => {
        const failure: unknown = await run.result().then(
          () => undefined,
          (error: unknown) => error,
        )
        if (goesOn) expect(failure).toBeUndefined()
        await (failure === undefined ? expectRestored : expectOldData)(world, tablet, before, health)
      },
    )
  })

  test('and whose run is terminated before the next one starts: the old data are back', async () => {
    await killed(
      ({ step }) => step === 'rejoin',
      async (run) => {
        await world.client.workflow.getHandle(run.workflowId, run.runId).terminate('impatient')
      },
      async (_run, before, health) => expectOldData(world, tablet, before, health),
    )
  })
})

/** Old data of which nobody makes an end between two looks. */
async function makeMuchToDrop({ datadir }: SampleTablet): Promise<void> {
  const directory = join(datadir, 'much-to-drop')
  await mkdir(directory, { recursive: true })
  for (let file = 0; file < 20_000; file += 1) writeFileSync(join(directory, String(file)), '')
}

/** Looks without a pause, since some points last for milliseconds. */
async function reached(tablet: SampleTablet, isReached: (disk: OnDisk) => boolean): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!isReached(onDisk(join(tablet.datadir, '.tabletkeeper')))) {
    if (Date.now() > deadline) throw new Error('the restore never came to that point')
    await turn()
  }
}

function onDisk(folder: string): OnDisk {
  const names = read(() => readdirSync(folder)) ?? []
  const inside = (purpose: string) =>
    names
      .filter((name) => name.startsWith(purpose))
      .flatMap((name) => read(() => readdirSync(join(folder, name))) ?? [])
  const json = (name: string) => read(() => JSON.parse(readFileSync(join(folder, name), 'utf8')))
  return {
    step: json('lease.json')?.step?.name,
    swap: json('swap-journal.json')?.phase,
    staged: inside('staging-'),
    aside: inside('replaced-'),
  }
}

/** Undefined for what is not there, or not any more. */
function read<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
