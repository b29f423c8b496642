import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually } from './assertions.ts'
import { startRestore } from './restored.ts'
import { startWorld, type World } from './world.ts'

/** Which transactions of the binary log are a server's own is told by the `server_id` in them: it does not fetch those. */
describe('a demoted primary', () => {
  let world: World
  let demoted: SampleTablet
  let promoted: SampleTablet

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    demoted = world.shard.primary
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    promoted = replica
    const agent = await world.startAgent(promoted.alias)
    await (await world.keeper.backup(world.input(promoted.alias))).result()
    await agent.stop()
    await demoted.query('CREATE TABLE commerce.after_the_backup (id INT PRIMARY KEY)')
    await demoted.query('INSERT INTO commerce.after_the_backup VALUES (1), (2)')
    await world.shard.awaitReplicated(promoted)
    await failOver()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function failOver(): Promise<void> {
    await demoted.query('SET GLOBAL super_read_only = ON')
    await world.shard.awaitReplicated(promoted)
    for (const statement of ['STOP REPLICA', 'RESET REPLICA ALL', 'SET GLOBAL read_only = OFF']) {
      await promoted.query(statement)
    }
    // A thread that sends the binary log notices only by its next sending that nobody listens any more.
    const dumps = "SELECT id FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'"
    for (const { id } of await demoted.query<{ id: number }>(dumps))
      await demoted.query('KILL ?', [id]).catch(() => undefined)
    await replicateFrom(demoted, promoted, world.shard.replicationAccount)
    await promoted.query('INSERT INTO commerce.after_the_backup VALUES (3)')
  }

  test('is restored from an older backup and gets back, from the new primary, what it wrote itself', async () => {
    const agent = await world.startAgent(demoted.alias)
    try {
      const { lagSeconds } = await (await startRestore(world, demoted)).result()
      expect(lagSeconds).toBeLessThan(5)
      const expected = await world.shard.checksums(promoted)
      await eventually(
        () => world.shard.checksums(demoted),
        (seen) => seen.get('commerce.after_the_backup') === expected.get('commerce.after_the_backup'),
        20_000,
      )
      expect(await world.shard.checksums(demoted)).toEqual(expected)
      expect(await demoted.query('SELECT id FROM commerce.after_the_backup')).toHaveLength(3)
      const [source] = await demoted.query<{ Source_Port: number }>('SHOW REPLICA STATUS')
      expect(source).toMatchObject({
        Source_Port: promoted.port,
        Replica_IO_Running: 'Yes',
        Replica_SQL_Running: 'Yes',
      })
    } finally {
      await agent.stop()
    }
  })
})
