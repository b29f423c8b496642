import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { RunFailed } from '../../client/run-failure.ts'
import type { RunHandle } from '../../client/run-handle.ts'
import { isError } from '../../model/errors.ts'
import type { RestoreInput, RestoreResult } from '../../model/runs.ts'
import { replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService } from './assertions.ts'
import { STAYING } from './staying-files.ts'
import type { World } from './world.ts'

/** What tells one server and its data from another. */
export interface Standing {
  readonly serverUuid: string
  /** A restore gives data another one. */
  readonly serverId: number
  readonly eventScheduler: string
  readonly superReadOnly: number
  /** Names and values of what `SET PERSIST` left. */
  readonly persisted: Readonly<Record<string, string>>
}

export async function standingOf(tablet: SampleTablet): Promise<Standing> {
  const [server] = await tablet.query<Omit<Standing, 'persisted'>>(
    `SELECT @@global.server_uuid AS serverUuid, @@global.server_id AS serverId, @@global.event_scheduler AS eventScheduler,
      @@global.super_read_only AS superReadOnly`,
  )
  if (server === undefined) throw new Error(`${tablet.alias} says nothing of itself`)
  const persisted = await tablet.query<{ name: string; value: string }>(
    'SELECT variable_name AS name, variable_value AS value FROM performance_schema.persisted_variables',
  )
  return { ...server, persisted: Object.fromEntries(persisted.map(({ name, value }) => [name, value])) }
}

/** No lease, no staging, no old data, no journal, no file of statements: nothing of a run is left in any data root. */
export async function expectNothingLeft(tablet: SampleTablet): Promise<void> {
  const roots = [tablet.datadir, ...['binlog', 'relay'].map((name) => join(tablet.directory, name))]
  for (const root of roots) {
    const left = await readdir(join(root, '.tabletkeeper')).catch(() => [])
    expect(left.filter((name) => !STAYING.includes(name))).toEqual([])
  }
}

/** `health` is the URL of the tablet's health endpoint, where an agent other than the world's runs. The tablet serves the data of a restore, which know nothing of how they came. */
export async function expectRestored(world: World, tablet: SampleTablet, before: Standing, health?: string) {
  await expectServing(world, tablet, health)
  const now = await standingOf(tablet)
  expect(now.serverId).not.toBe(before.serverId)
  expect(now).toEqual({
    ...before,
    serverId: now.serverId,
    persisted: { ...before.persisted, server_id: String(now.serverId) },
  })
}

/** The tablet serves the data that it had before, as before. */
export async function expectOldData(world: World, tablet: SampleTablet, before: Standing, health?: string) {
  await expectServing(world, tablet, health)
  expect(await standingOf(tablet)).toEqual(before)
}

async function expectServing(world: World, tablet: SampleTablet, health = world.health(tablet.alias)): Promise<void> {
  await expectInService(world, tablet)
  await expectNothingLeft(tablet)
  await eventually(
    () => healthAt(health),
    ({ status }) => status === 200,
  )
}

/** What a health endpoint answers; status 0 when nobody does. */
export async function healthAt(url: string): Promise<{ readonly status: number; readonly text: string }> {
  try {
    const response = await fetch(url)
    return { status: response.status, text: await response.text() }
  } catch (error) {
    return { status: 0, text: String(error) }
  }
}

/** One more replica of the shard, with its data. `datadir` may be a mount point. */
export async function addReplica(world: World, uid: number, datadir?: string): Promise<SampleTablet> {
  const { shard } = world
  const added = await shard.addTablet(uid, datadir === undefined ? {} : { datadir })
  await added.initialize()
  await added.start()
  await replicateFrom(added, shard.primary, shard.replicationAccount)
  await shard.awaitReplicated(added)
  return added
}

/** Starts a restore. Ids of runs have their second in them, so that one may have to wait for the next. */
export async function startRestore(
  world: World,
  tablet: SampleTablet,
  input: Omit<RestoreInput, 'shard' | 'tablet'> = {},
): Promise<RunHandle<RestoreResult>> {
  const run = await eventually(
    () =>
      world.keeper.restore({ ...world.input(tablet.alias), ...input }).catch((error: unknown) => {
        if (!isError(error, 'TabletBusy')) throw error
      }),
    (started) => started !== undefined,
  )
  return run ?? expect.fail('the restore was not started')
}

/** How a run failed. */
export async function failureOf(run: RunHandle<RestoreResult>): Promise<RunFailed> {
  return await run.result().then(
    (result) => expect.fail(`it succeeded: ${JSON.stringify(result)}`),
    (error: unknown) => (error instanceof RunFailed ? error : expect.fail(String(error))),
  )
}

/** An empty data directory: no server, and no file of one but the certificates that mysqld made, which are the host's. */
export async function expectEmpty(tablet: SampleTablet): Promise<void> {
  const names = await readdir(tablet.datadir)
  expect(names.filter((name) => name !== '.tabletkeeper' && !name.endsWith('.pem'))).toEqual([])
  expect(await tablet.pid()).toBeUndefined()
  await expectNothingLeft(tablet)
}
