import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { RunHandle } from '../../client/run-handle.ts'
import type { TabletAlias } from '../../model/alias.ts'
import type { BackupResult } from '../../model/runs.ts'
import { type CowFileSystem, type CowKind, mountCow, obstacleToCow } from '../../sandbox/cow-file-system.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService, expectNothingPublished } from './assertions.ts'
import { addReplica, expectNothingLeft } from './restored.ts'
import { QUICK, startWorld, type World, type WorldOptions } from './world.ts'

/** Why the tests of snapshots cannot run here, or undefined. */
export const NO_COW = await obstacleToCow()
export const ON_COW = NO_COW === undefined ? 'on XFS' : `(no XFS: ${NO_COW})`

/** A world with a primary, and a replica whose data lie on a file system on which files can be cloned. */
export interface CowWorld extends AsyncDisposable {
  readonly world: World
  readonly cow: CowFileSystem
  readonly replica: SampleTablet
  readonly alias: TabletAlias
}

export async function startCowWorld(options: Partial<WorldOptions> = {}, kind: CowKind = 'xfs'): Promise<CowWorld> {
  const stack = new AsyncDisposableStack()
  try {
    const cow = stack.use(await mountCow(2_000, kind))
    const world = stack.use(await startWorld({ replicas: 0, ...options }))
    await world.startControl()
    const replica = await addReplica(world, 101, join(cow.path, 'data'))
    // For commands: the world wrote it before there was this tablet.
    await writeFile(world.configPath, `${world.shard.configText(world)}\n${QUICK}\n`)
    const dispose = stack.move()
    return { world, cow, replica, alias: replica.alias, [Symbol.asyncDispose]: () => dispose.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

/** Clones of a tablet's files: their folders and records. */
export async function clonesOf(tablet: SampleTablet): Promise<string[]> {
  const names = await readdir(join(tablet.datadir, '.tabletkeeper')).catch(() => [])
  return names.filter((name) => name.startsWith('clone-'))
}

export async function awaitNoClone(tablet: SampleTablet): Promise<void> {
  await eventually(
    () => clonesOf(tablet),
    (clones) => clones.length === 0,
  )
}

/** Waits until the run copies from the clone: some bytes have been read. */
export async function awaitUpload(run: RunHandle<BackupResult>): Promise<void> {
  await eventually(
    async () => (await run.status()).activity,
    (activity) => activity?.step === 'uploadFiles' && (activity.progress?.bytesDone ?? 0) > 0,
  )
}

/** The tablet serves, nothing was published, and nothing of the run is left: no clone, no lease, no object. */
export async function expectUndone({ world, replica }: CowWorld): Promise<void> {
  await awaitNoClone(replica)
  await expectInService(world, replica)
  await expectNothingLeft(replica)
  await expectNothingPublished(world)
  expect(existsSync(replica.datadir)).toBe(true)
}
