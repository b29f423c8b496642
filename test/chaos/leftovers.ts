import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isTemporalOutage } from '../../client/connection.ts'
import { STAYING } from '../integration/staying-files.ts'
import type { Scenery } from './chaos-world.ts'

/** Clones are dropped by the agent at its next look; Temporal's lists lag. */
const GONE_WITHIN = 20_000
const TEMPORARY = /^\.tmp-/

/**
 * Nothing of a run is left: no lease, clone, staging folder, replaced data or journal on the tablet, no temporary file in storage, no open
 * run.
 * @throws naming what is still there after a while
 */
export async function assertNothingLeft(scenery: Scenery): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN
  for (;;) {
    const left = [...(await leftOnTablet(scenery)), ...(await leftInStorage(scenery)), ...(await openRuns(scenery))]
    if (left.length === 0) return
    if (Date.now() > deadline) throw new Error(`left behind: ${left.join(', ')}`)
    await delay(200)
  }
}

async function leftOnTablet({ victim }: Scenery): Promise<string[]> {
  const roots = [victim.datadir, join(victim.directory, 'binlog'), join(victim.directory, 'relay')]
  const left: string[] = []
  for (const root of roots) {
    const folder = join(root, '.tabletkeeper')
    const names = await readdir(folder).catch(() => [])
    left.push(...names.filter((name) => !STAYING.includes(name)).map((name) => join(folder, name)))
  }
  return left
}

async function leftInStorage({ storage }: Scenery): Promise<string[]> {
  const names = await readdir(storage.path, { recursive: true })
  return names.filter((name) => TEMPORARY.test(name.split('/').at(-1) ?? ''))
}

async function openRuns({ keeper }: Scenery): Promise<string[]> {
  try {
    return (await keeper.runs()).map(({ workflowId }) => `open run ${workflowId}`)
  } catch (error) {
    if (isTemporalOutage(error)) return ['Temporal, which does not answer']
    throw error
  }
}
