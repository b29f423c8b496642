import { mkdir, readdir, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { layoutOf } from '../../mysql/settings/my-cnf.ts'
import { runCommand } from '../../sandbox/command.ts'
import { TabletClones } from '../../tablets/clones.ts'
import { LagMonitor } from '../../tablets/lag-monitor.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { LeasedTablet, type TakeRequest } from '../../tablets/leased-tablet.ts'
import type { RunState } from '../../tablets/run-state.ts'
import { Reconciler } from '../../workers/reconciler.ts'
import { MINIMAL, parse } from '../model/minimal-config.ts'
import { NO_MOUNTS, smallFileSystem } from '../storage/mounts.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { configuredDriver } from '../tablets/configured-driver.ts'

const run = { namespace: 'default', workflowId: 'backup/commerce/0/x', runId: 'run-1' }
const here = { tablet: parseAlias('zone1-101'), machine: { id: 'a'.repeat(32), host: 'db2' }, serverUuid: undefined }
const taking: TakeRequest = {
  ...run,
  kind: 'backup',
  returnTo: 'REPLICA',
  mysqldRan: true,
  serverUuid: null,
  captured: null,
}

/** A tablet with a clone that was prepared, under a lease or after it, of whose run Temporal says `state`. */
async function arrange(state: RunState, isHeld = false, directory?: string) {
  const datadir = join(directory ?? (await temporaryDirectory()), 'data')
  await mkdir(datadir)
  for (const name of ['ibdata1', 'mysql.ibd']) await writeFile(join(datadir, name), '')
  const options = [
    ['datadir', datadir],
    ['innodb-data-file-path', 'ibdata1:12M:autoextend'],
    ['port', '3306'],
    ['server-id', '1'],
  ] as const
  const layout = layoutOf(new Map(options), '/etc/my.cnf', 'db1')
  const driver = Object.assign(configuredDriver(), { layout: async () => layout })
  const folder = await privateFolder(datadir)
  const tablet = new LeasedTablet(driver, new LeaseFile(folder), async () => here, pino({ level: 'silent' }))
  const clones = new TabletClones(driver)
  const asked: string[] = []
  const reconciler = new Reconciler(
    {
      tablet,
      clones,
      lag: new LagMonitor(driver),
      folder,
      emptyBecause: undefined,
      keepType: async () => undefined,
      close: async () => undefined,
    },
    {
      config: parse(MINIMAL),
      runState: async ({ runId }) => {
        asked.push(runId)
        return state
      },
    },
  )
  const token = isHeld ? (await tablet.take(taking)).token : 'fedcba9876543210'
  await clones.prepare({ ...run, token, backup: '2026-11-25.000000.zone1-0000000101' }, new AbortController().signal)
  const left = async () => (await readdir(folder)).filter((name) => name.startsWith('clone-')).length
  expect(await left()).toBe(2)
  return { reconciler, tablet, left, asked }
}

test.each(['open', 'unknown'] as const)('a clone whose run is %s stays', async (state) => {
  const { reconciler, left, asked } = await arrange(state)
  await reconciler.lookAfterClones()
  expect(asked).toEqual([run.runId])
  expect(await left()).toBe(2)
})

test('a clone whose run is closed is dropped', async () => {
  const { reconciler, left } = await arrange('closed')
  await reconciler.lookAfterClones()
  expect(await left()).toBe(0)
})

test('a clone that may still be made, under the lease of a run that is closed, stays until that is being returned', async () => {
  const { reconciler, tablet, left } = await arrange('closed', true)
  await reconciler.lookAfterClones()
  expect(await left()).toBe(2)
  await tablet.returning(
    () => true,
    new AbortController().signal,
    () => reconciler.lookAfterClones(),
  )
  expect(await left()).toBe(0)
})

describe.skipIf(NO_MOUNTS !== undefined)('when the disk of the tablet runs full', () => {
  async function arrangeFull(isHeld: boolean) {
    const disk = await smallFileSystem(64 * 1024)
    const arranged = await arrange('open', isHeld, disk)
    const { bavail, bsize } = await statfs(disk)
    await runCommand('fallocate', ['-l', String(bavail * bsize - 1_000_000), join(disk, 'filler')])
    return arranged
  }

  test('a clone is given up though its run is open, and Temporal is not asked', async () => {
    const { reconciler, left, asked } = await arrangeFull(false)
    await reconciler.lookAfterClones()
    expect(await left()).toBe(0)
    expect(asked).toEqual([])
  })

  test('one that a step makes stays, until the tablet is on its way back', async () => {
    const { reconciler, tablet, left } = await arrangeFull(true)
    await reconciler.lookAfterClones()
    expect(await left()).toBe(2)
    await tablet.returning(
      () => true,
      new AbortController().signal,
      () => reconciler.lookAfterClones(),
    )
    expect(await left()).toBe(0)
  })
})
