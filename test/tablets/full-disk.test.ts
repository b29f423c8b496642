import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, test } from 'vitest'
import { makingRoom } from '../../activities/making-room.ts'
import { parseAlias } from '../../model/alias.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { layoutOf } from '../../mysql/settings/my-cnf.ts'
import { replacedFolder, stagingFolder } from '../../mysql/swap/folders.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { LeasedTablet } from '../../tablets/leased-tablet.ts'
import { makeStagingRoots, restoreLedgerPath } from '../../tablets/staging.ts'
import { NO_MOUNTS, smallFileSystem } from '../storage/mounts.ts'
import { configuredDriver } from './configured-driver.ts'

const never = new AbortController().signal
const ROOM = 1024

/** A tablet that is held for a restore, on a disk that this may fill. */
async function arrange() {
  const datadir = join(await smallFileSystem(ROOM), 'data')
  await mkdir(datadir)
  const options = [
    ['datadir', datadir],
    ['innodb-data-file-path', 'ibdata1:12M:autoextend'],
  ] as const
  const layout = layoutOf(new Map([...options, ['port', '3306'], ['server-id', '1']]), '/etc/my.cnf', 'db1')
  const driver = Object.assign(configuredDriver(), { layout: async () => layout })
  const here = { tablet: parseAlias('zone1-101'), machine: { id: 'a'.repeat(32), host: 'db2' }, serverUuid: undefined }
  const file = new LeaseFile(await privateFolder(datadir))
  const tablet = new LeasedTablet(driver, file, async () => here, pino({ level: 'silent' }))
  const lease = await tablet.take({
    namespace: 'default',
    workflowId: 'restore/commerce/0/zone1-0000000101',
    runId: 'run-1',
    kind: 'restore',
    returnTo: 'REPLICA',
    mysqldRan: true,
    serverUuid: null,
    captured: null,
  })
  const staging = stagingFolder(datadir, lease.token)
  /** Stages more than there is room for. @throws ENOSPC */
  const fill = async (): Promise<void> => {
    const roots = await makeStagingRoots(layout, lease.token)
    await writeFile(restoreLedgerPath(layout, lease.token), '{}\n')
    await writeFile(join(roots.Data, 'large.ibd'), Buffer.alloc(2 * ROOM * 1024))
  }
  return { tablet, lease, layout, staging, fill, claim: { runId: 'run-1', token: lease.token } }
}

const full = expect.objectContaining({ code: 'ENOSPC' })

describe.skipIf(NO_MOUNTS !== undefined)('staged data that fill the disk of a tablet', () => {
  test.each([
    ['as the system says it', (error: unknown) => error],
    ['as something else that came of it', (cause: unknown) => new Error('cannot be prepared', { cause })],
  ])('go with the step that met it, %s, and its lease can be written', async (_, saidAs) => {
    const { tablet, layout, staging, fill, claim } = await arrange()
    const step = tablet.step(claim, 'downloadFiles', '1', never, (context) =>
      makingRoom(context, layout, () => fill().catch((error: unknown) => Promise.reject(saidAs(error)))),
    )
    await expect(step).rejects.toMatchObject({
      type: 'StorageFull',
      message: expect.stringContaining("on the tablet's host"),
    })
    expect(existsSync(staging)).toBe(false)
    expect((await tablet.lease())?.step).toBeNull()
  })

  test('stay when the step was given up: they may be those of the next one', async () => {
    const { tablet, layout, staging, fill, lease } = await arrange()
    const staged = makingRoom({ signal: AbortSignal.abort(), lease }, layout, fill)
    await expect(staged).rejects.toMatchObject({ type: 'StorageFull' })
    expect(existsSync(staging)).toBe(true)
    expect(tablet.busy).toBe(false)
  })

  test('go when the tablet is returned, where the step was killed', async () => {
    const { tablet, staging, fill } = await arrange()
    await expect(fill()).rejects.toEqual(full)
    const states: unknown[] = []
    await tablet.returning(
      () => true,
      never,
      async ({ lease }) => void states.push(lease.state, existsSync(staging)),
    )
    expect(states).toEqual(['returning', false])
    expect(await tablet.lease()).toBeUndefined()
  })

  test('stay while old data lie aside', async () => {
    const { tablet, lease, layout, staging, fill } = await arrange()
    await mkdir(join(replacedFolder(layout.datadir, lease.token), 'old'), { recursive: true })
    await expect(fill()).rejects.toEqual(full)
    const returned = tablet.returning(
      () => true,
      never,
      async () => 'returned',
    )
    await expect(returned).rejects.toEqual(full)
    expect(existsSync(staging)).toBe(true)
  })
})
