import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectInService } from './assertions.ts'
import { startWorld, type World } from './world.ts'

describe('a backup of a replica under write load', () => {
  let world: World

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('goes through the six steps in order, publishes, and gives the tablet back; a new tablet is bootstrapped from it', async () => {
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    await world.startAgent(replica.alias)
    const load = await world.shard.writeLoad()
    const run = await world.keeper.backup(world.input(replica.alias))
    const result = await run.result()

    expect(result.type).toBe('REPLICA')
    expect(result.files).toBeGreaterThan(20)
    const { events } = await world.client.workflow.getHandle(run.workflowId).fetchHistory()
    const activities = (events ?? []).flatMap(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? [],
    )
    const six = ['takeOutOfService', 'stopReplication', 'stopMysqld', 'copyFiles', 'startMysqld', 'rejoin']
    expect(activities.filter((name) => six.includes(name))).toEqual(six)
    expect(events?.length).toBeLessThan(120)
    expect(await world.stored()).toEqual([{ name: result.backup, complete: true }])

    const added = await world.shard.addTablet(102)
    await world.startAgent(added.alias, {
      config: { ...world.config(), agent: { ...world.config().agent, restoreFromBackup: false } },
    })
    const bootstrap = await world.keeper.bootstrap({ ...world.input(added.alias), type: 'RDONLY' })
    const restored = await bootstrap.result()
    expect(restored).toMatchObject({ backup: result.backup, position: result.position, type: 'RDONLY' })

    await load.stop()
    await expectInService(world, replica)
    await expectInService(world, added)
  })
})
