import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually, expectInService, expectNothingPublished } from './assertions.ts'
import { startWorld, type World } from './world.ts'

describe('a run whose host is lost in mid-copy', () => {
  let world: World
  let tablet: SampleTablet

  beforeAll(async () => {
    world = await startWorld({ megabytes: 40, yaml: 'backup: { drainTimeout: 1s, maxRate: 10MiB/s }' })
    await world.startControl()
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    tablet = replica
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  test('ends when it is abandoned, although steps 5 and 6 cannot be cancelled, and a host that comes back heals itself', async () => {
    const agent = await world.startAgent(tablet.alias)
    const run = await world.keeper.backup(world.input(tablet.alias))
    await eventually(
      () => run.view(),
      ({ progress }) => progress?.current?.step === 'copyFiles',
    )
    await agent.stop()
    await run.abandon()
    await expect(run.result(AbortSignal.timeout(20_000))).rejects.toMatchObject({
      type: 'NoAgent',
      message: `abandoned: the host of ${tablet.alias} is lost`,
    })
    await world.startAgent(tablet.alias)
    await expectInService(world, tablet)
    await expectNothingPublished(world)
  })
})
