import { existsSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { WorkflowNotFoundError } from '@temporalio/client'
import type { RunHandle } from '../../client/run-handle.ts'
import { isError } from '../../model/errors.ts'
import { isCode } from '../../mysql/system/system-error.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import type { Case } from './cases.ts'
import type { ChaosWorld } from './chaos-world.ts'
import type { Random } from './random.ts'
import { awaitBack } from './recovery.ts'
import { resetToStep } from './reset.ts'
import { DEAD_MAN_SECONDS } from './victim.ts'

/** Milliseconds: `heartbeatTimeout` of every activity on a tablet is a minute. */
const FROZEN_FOR = 63_000
const STARTS_WITHIN = 60_000
const TEMPORAL_RESTARTS_AFTER = 1_000
const REFUSED_WITHIN = 30_000
/** In which a tablet has to be back although Temporal cannot be reached, beyond the dead man's timeout. */
const RETURNED_WITHIN = 30_000

/** What a fault leaves to be timed. */
export interface Struck {
  /** From when time to recover counts: the start of what was killed, the end of what hindered, the request. */
  readonly from: number
  /** When the tablet was seen back, where that was while the fault lasted. */
  readonly back?: number
}

/** Makes the fault of a case happen, and ends it. */
export async function strike(world: ChaosWorld, run: RunHandle<unknown>, one: Case, random: Random): Promise<Struck> {
  const { storage, data, victim, control, client } = world.scenery
  const between = (least: number, most: number): number => least + random() * (most - least)
  switch (one.fault) {
    case 'kill agent':
      return { from: await world.agent.kill() }
    case 'kill control':
      return { from: await control.kill() }
    case 'kill mysqld':
      await victim.kill()
      return { from: Date.now() }
    case 'kill Temporal':
      return { from: await bounceTemporal(world) }
    case 'kill all': {
      const restarts = [bounceTemporal(world), control.kill(), world.agent.kill(), victim.kill().then(() => 0)]
      return { from: Math.max(...(await Promise.all(restarts))) }
    }
    case 'freeze agent':
      return await frozen(() => world.agent.pid)
    case 'freeze control':
      return await frozen(() => control.pid)
    case 'freeze mysqld':
      return await frozen(() => awaitMysqld(world))
    case 'freeze Temporal':
      return await frozen(() => world.temporalPid)
    case 'Temporal away':
      return await withoutTemporal(world, one)
    case 'cancel':
      await run.cancel().catch(ignoreOver)
      return { from: Date.now() }
    case 'terminate':
      await client.workflow.getHandle(run.workflowId, run.runId).terminate('by the fault matrix').catch(ignoreOver)
      return { from: Date.now() }
    case 'reset':
      await resetToStep(client, run, one.step)
      return { from: Date.now() }
    case 'mysqld refuses':
      return await refused(world)
    case 'store fails':
      return await during(storage.detach, between(2_000, 12_000), async () => {
        await assertNothingWritten(storage.path).finally(storage.attach)
      })
    case 'store stalls':
      return await during(storage.freeze, between(5_000, 15_000), storage.thaw)
    case 'store full':
      return await during(storage.fill, between(1_000, 5_000), storage.relieve)
    case 'disk full':
      return await during(data.fill, between(1_000, 8_000), data.relieve)
  }
}

/** Its pid; where none runs, that of the next one. */
async function awaitMysqld({ scenery: { victim } }: ChaosWorld): Promise<number | undefined> {
  let pid: number | undefined
  const started = async () => {
    pid = await victim.pid()
    return pid !== undefined
  }
  await waitUntil('a mysqld runs', started, STARTS_WITHIN).catch(() => undefined)
  return pid
}

/**
 * Keeps a process from running, as a host that swaps or a paused machine does.
 * @param find asked again where the process ended before it could be stopped
 * @throws Error when there is none: then nothing was tried
 */
async function frozen(find: () => number | undefined | Promise<number | undefined>): Promise<Struck> {
  let pid: number | undefined = await find()
  while (pid !== undefined && !signalled(pid, 'SIGSTOP')) {
    const next: number | undefined = await find()
    pid = next === pid ? undefined : next
  }
  if (pid === undefined) throw new Error('there was no process to freeze')
  try {
    await delay(FROZEN_FOR)
  } finally {
    signalled(pid, 'SIGCONT')
  }
  return { from: Date.now() }
}

/** Whether the process was there: whoever looks after it may have ended it. */
function signalled(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (isCode(error, 'ESRCH')) return false
    throw error
  }
}

async function during(begin: () => Promise<void>, milliseconds: number, end: () => Promise<void>): Promise<Struck> {
  await begin()
  try {
    await delay(milliseconds)
  } finally {
    await end()
  }
  return { from: Date.now() }
}

/** @returns when it was started again */
async function bounceTemporal(world: ChaosWorld): Promise<number> {
  await world.killTemporal()
  await delay(TEMPORAL_RESTARTS_AFTER)
  const from = Date.now()
  await world.startTemporal()
  return from
}

/** Nobody answers until the tablet is back by itself; it is to be so within the dead man's timeout and a little. */
async function withoutTemporal(world: ChaosWorld, one: Case): Promise<Struck> {
  await world.killTemporal()
  const from = Date.now()
  try {
    // A step that was at work may still be; a lease that was being made is there by then.
    await delay(2_000)
    return { from, back: await awaitBack(world.scenery, one.workflow, DEAD_MAN_SECONDS * 1_000 + RETURNED_WITHIN) }
  } finally {
    await world.startTemporal()
  }
}

/** Over when a mysqld has refused, or nobody tried to start one. */
async function refused(world: ChaosWorld): Promise<Struck> {
  const { refusal } = world.scenery
  await writeFile(refusal, '')
  await waitUntil('mysqld has refused to start', () => !existsSync(refusal), REFUSED_WITHIN).catch(() => undefined)
  await rm(refusal, { force: true })
  return { from: Date.now() }
}

/** A mount that is not there is no empty storage: nobody may begin a new one below it. */
async function assertNothingWritten(mountPoint: string): Promise<void> {
  const written = await readdir(mountPoint)
  for (const name of written) await rm(join(mountPoint, name), { recursive: true, force: true })
  if (written.length > 0) throw new Error(`${written.join(', ')} was written where storage was not mounted`)
}

/** The run had ended by itself before it was to be ended. */
function ignoreOver(error: unknown): void {
  if (!isError(error, 'NotFound') && !(error instanceof WorkflowNotFoundError)) throw error
}
