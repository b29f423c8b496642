import { describe, expect, test } from 'vitest'
import { obstacleToCow } from '../../sandbox/cow-file-system.ts'
import { expectInService } from '../integration/assertions.ts'
import { awaitNoClone, startCowWorld } from '../integration/cow-world.ts'
import { startBackup } from '../integration/held-tablet.ts'
import { expectNothingLeft } from '../integration/restored.ts'

const obstacle = await obstacleToCow('btrfs')

describe.skipIf(obstacle !== undefined)(`on Btrfs${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  test('a tablet is backed up from a clone under writes, and restored from it', async () => {
    await using cow = await startCowWorld({}, 'btrfs')
    const { world, replica, alias } = cow
    const config = world.config()
    const agent = await world.startAgent(alias, {
      config: { ...config, backup: { ...config.backup, snapshot: 'reflink' } },
    })
    const load = await world.shard.writeLoad()
    const backup = await (await startBackup(world, alias)).result()
    expect(backup).toMatchObject({ snapshot: 'reflink', type: 'REPLICA', badPages: 0, warnings: [] })
    await awaitNoClone(replica)
    const restore = await world.keeper.restore(world.input(alias))
    expect(await restore.result()).toMatchObject({ backup: backup.backup })
    await load.stop()
    await expectInService(world, replica)
    await expectNothingLeft(replica)
    await agent.stop()
  })
})
