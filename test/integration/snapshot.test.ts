import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isError } from '../../model/errors.ts'
import { type Manifest, parseManifest } from '../../model/manifest.ts'
import type { BackupResult } from '../../model/runs.ts'
import type { WriteLoad } from '../../sandbox/write-load.ts'
import { smallDisk } from '../storage/mounts.ts'
import { eventually, expectInService } from './assertions.ts'
import { type CowWorld, clonesOf, NO_COW, ON_COW, startCowWorld } from './cow-world.ts'
import { type Fault, type Gate, gateAt, withFaults } from './faults.ts'
import { askHealth } from './health.ts'
import { leaseOf, startBackup } from './held-tablet.ts'
import { addReplica, expectNothingLeft } from './restored.ts'
import type { Running } from './world.ts'

describe.skipIf(NO_COW !== undefined)(`a backup of a tablet ${ON_COW}`, () => {
  let cow: CowWorld
  const agents: Running[] = []
  const gates: Gate[] = []
  const loads: WriteLoad[] = []

  beforeAll(async () => {
    cow = await startCowWorld()
  })
  afterEach(async () => {
    for (const gate of gates.splice(0)) gate.open()
    await Promise.all(loads.splice(0).map((load) => load.stop()))
    await Promise.all(agents.splice(0).map((agent) => agent.stop()))
  })
  afterAll(async () => {
    await cow?.[Symbol.asyncDispose]()
  })

  function gateBeforeUpload(): Gate {
    const gate = gateAt('uploadFiles')
    gates.push(gate)
    return gate
  }

  async function startAgent(snapshot: 'auto' | 'reflink' | 'none', ...faults: Fault[]): Promise<void> {
    const config = cow.world.config()
    agents.push(
      await cow.world.startAgent(cow.alias, {
        config: { ...config, backup: { ...config.backup, snapshot } },
        interceptors: withFaults(...faults),
      }),
    )
  }

  async function manifestOf({ shard, backup }: BackupResult): Promise<Manifest> {
    const text = await readFile(join(cow.world.storageRoot, shard, backup, 'MANIFEST'), 'utf8')
    return parseManifest(text, { shard, backup })
  }

  test('clones the files while mysqld is down, and copies them while the tablet serves; another tablet is restored from it', async () => {
    const { world, replica, alias } = cow
    const uploading = gateBeforeUpload()
    await startAgent('auto', uploading.fault)
    const load = await world.shard.writeLoad()
    loads.push(load)
    const run = await startBackup(world, alias)
    await uploading.reached
    // Released and serving before a byte was copied.
    expect(await leaseOf(replica)).toBeUndefined()
    await eventually(
      () => askHealth(world, alias),
      ({ status }) => status === 200,
    )
    expect(await clonesOf(replica)).toHaveLength(2)
    uploading.open()
    const result = await run.result()
    expect(result).toMatchObject({ snapshot: 'reflink', type: 'REPLICA', badPages: 0, warnings: [] })
    expect(result.outOfServiceSeconds).toBeLessThan(result.seconds)

    const { events } = await world.client.workflow.getHandle(run.workflowId).fetchHistory()
    const activities = (events ?? []).flatMap(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? [],
    )
    expect(activities).toEqual([
      'preflightBackup',
      'takeTablet',
      'takeOutOfService',
      'stopReplication',
      'stopMysqld',
      'cloneFiles',
      'startMysqld',
      'rejoin',
      'releaseTablet',
      'uploadFiles',
      'checkBackup',
      'publishBackup',
      'dropClone',
    ])
    expect(events?.length).toBeLessThanOrEqual(120)
    expect(await manifestOf(result)).toMatchObject({
      Position: result.position,
      Tabletkeeper: {
        Engine: 'frames',
        Snapshot: 'reflink',
        OutOfServiceSeconds: result.outOfServiceSeconds,
        PageCheck: { BadPages: 0, Pages: [] },
      },
    })
    await expectNothingLeft(replica)

    const added = await world.shard.addTablet(102)
    const config = world.config()
    const bootstrapping = await world.startAgent(added.alias, {
      config: { ...config, agent: { ...config.agent, restoreFromBackup: false } },
    })
    const restored = await (await world.keeper.bootstrap(world.input(added.alias))).result()
    expect(restored).toMatchObject({ backup: result.backup, position: result.position })
    await load.stop()
    await expectInService(world, replica)
    await expectInService(world, added)
    await bootstrapping.stop()
    await added.stop()
  })

  test('with snapshot: none copies them while mysqld is down', async () => {
    await startAgent('none')
    const result = await (await startBackup(cow.world, cow.alias)).result()
    expect(result.snapshot).toBe('none')
    const { Tabletkeeper } = await manifestOf(result)
    expect(Tabletkeeper).toMatchObject({ Snapshot: 'none', OutOfServiceSeconds: result.outOfServiceSeconds })
    await expectInService(cow.world, cow.replica)
    await expectNothingLeft(cow.replica)
  })

  test('copies pages that are damaged on the tablet as they are, and says so to everybody', async () => {
    const { world, replica, alias } = cow
    // Free, so that no server reads it: only whoever looks at all pages sees that its checksum is wrong.
    const [page, size] = [6, 16_384]
    const damage = async (byte: number) => {
      await using file = await open(join(replica.datadir, 'commerce/waiting_list.ibd'), 'r+')
      await file.write(Buffer.alloc(size, byte), 0, size, page * size)
    }
    await damage(7)
    try {
      await startAgent('auto')
      const result = await (await startBackup(world, alias)).result()
      const found = { file: 'commerce/waiting_list.ibd', page }
      expect(result).toMatchObject({ snapshot: 'reflink', badPages: 1, firstBadPages: [found] })
      expect(result.warnings).toEqual([
        {
          about: alias,
          message: `1 page of its files is damaged, the first in ${found.file}, page ${page}: copied as they are`,
          hint: expect.stringContaining('CHECK TABLE'),
        },
      ])
      const { Tabletkeeper, FileEntries } = await manifestOf(result)
      const [bad] = Tabletkeeper?.PageCheck.Pages ?? []
      expect(Tabletkeeper?.PageCheck.BadPages).toBe(1)
      expect(bad?.Page).toBe(page)
      expect(FileEntries[bad?.File ?? -1]?.Name).toBe(found.file)
    } finally {
      await damage(0)
    }
  })

  test('is refused while another one copies from its clone, naming that run', async () => {
    const { world, alias } = cow
    const uploading = gateBeforeUpload()
    await startAgent('reflink', uploading.fault)
    const first = await startBackup(world, alias)
    await uploading.reached
    await expect((await startBackup(world, alias)).result()).rejects.toMatchObject({
      type: 'TabletBusy',
      step: 'preflight',
      message: expect.stringContaining(`${first.workflowId} (run ${first.runId}) still copies`),
    })
    uploading.open()
    expect((await first.result()).snapshot).toBe('reflink')
  })

  test('a restore of the tablet meanwhile leaves the clone alone', async () => {
    const { world, replica, alias } = cow
    const uploading = gateBeforeUpload()
    await startAgent('auto', uploading.fault)
    const run = await startBackup(world, alias)
    await uploading.reached
    await (await world.keeper.restore(world.input(alias))).result()
    uploading.open()
    expect(await run.result()).toMatchObject({ snapshot: 'reflink' })
    await expectInService(world, replica)
    await expectNothingLeft(replica)
  })

  describe('beside one whose file system cannot clone', () => {
    test('the plain order is taken, and snapshot: reflink is refused before anything is touched', async () => {
      const { world } = cow
      const disk = await smallDisk(400)
      const plain = await addReplica(world, 103, join(disk, 'data'))
      const config = world.config()
      const auto = await world.startAgent(plain.alias)
      expect((await (await startBackup(world, plain.alias)).result()).snapshot).toBe('none')
      await auto.stop()
      const strict = await world.startAgent(plain.alias, {
        config: { ...config, backup: { ...config.backup, snapshot: 'reflink' } },
      })
      const pid = await plain.pid()
      const refusal = await (await startBackup(world, plain.alias)).result().catch((error: unknown) => error)
      expect(isError(refusal)).toBe(false)
      expect(refusal).toMatchObject({
        type: 'Refused',
        step: 'preflight',
        message: expect.stringMatching(/cannot be backed up from a clone: .* whose files cannot be cloned$/),
        hint: expect.stringContaining('XFS made with reflink=1, or Btrfs'),
      })
      expect(await plain.pid()).toBe(pid)
      expect(await leaseOf(plain)).toBeUndefined()
      await strict.stop()
      await expectInService(world, plain)
      await plain.stop()
    })
  })
})
