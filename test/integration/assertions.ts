import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import type { World } from './world.ts'

/** Waits for a condition, and fails with what it last saw. */
export async function eventually<T>(
  look: () => Promise<T>,
  holds: (seen: T) => boolean,
  milliseconds = 60_000,
): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (;;) {
    const seen = await look()
    if (holds(seen)) return seen
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms; last seen: ${JSON.stringify(seen)}`)
    await delay(100)
  }
}

interface ReplicaStatus {
  readonly Replica_IO_Running: string
  readonly Replica_SQL_Running: string
  readonly Source_Port: number
}

/** No run holds the tablet any more. */
export async function expectReturned(tablet: SampleTablet): Promise<void> {
  await eventually(
    async () => existsSync(`${tablet.datadir}/.tabletkeeper/lease.json`),
    (there) => !there,
  )
}

/** mysqld runs, read-only, both threads run from the primary, its data are the primary's, and no lease is left. */
export async function expectInService(world: World, tablet: SampleTablet): Promise<void> {
  await expectReturned(tablet)
  const [status] = await tablet.query<ReplicaStatus>('SHOW REPLICA STATUS')
  expect(status).toMatchObject({
    Replica_IO_Running: 'Yes',
    Replica_SQL_Running: 'Yes',
    Source_Port: world.shard.primary.port,
  })
  const [mode] = await tablet.query<{ readOnly: number }>('SELECT @@global.read_only AS readOnly')
  expect(mode).toEqual({ readOnly: 1 })
  await world.shard.awaitReplicated(tablet)
  expect(await world.shard.checksums(tablet)).toEqual(await world.shard.checksums(world.shard.primary))
}

/** Nothing that a listing would call complete came of it. */
export async function expectNothingPublished(world: World): Promise<void> {
  expect((await world.stored()).filter((backup) => backup.complete)).toEqual([])
}
