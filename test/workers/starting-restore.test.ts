import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from '@temporalio/client'
import { NativeConnection } from '@temporalio/worker'
import pino from 'pino'
import { expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { layoutOf } from '../../mysql/settings/my-cnf.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { TabletClones } from '../../tablets/clones.ts'
import { LagMonitor } from '../../tablets/lag-monitor.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { LeasedTablet } from '../../tablets/leased-tablet.ts'
import type { OpenTablet } from '../../workers/open-tablet.ts'
import { bootstrapEmptyTablet } from '../../workers/starting-restore.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { configuredDriver } from '../tablets/configured-driver.ts'

interface Line {
  readonly level: number
  readonly event: string
  readonly msg: string
  readonly workflowId?: string
}

/** An empty tablet, and what is logged of it. */
async function emptyTablet(lines: Line[]): Promise<OpenTablet> {
  const datadir = join(await temporaryDirectory(), 'data')
  await mkdir(datadir)
  const options = [
    ['datadir', datadir],
    ['innodb-data-file-path', 'ibdata1:12M:autoextend'],
    ['port', '3306'],
    ['server-id', '1'],
  ] as const
  const layout = layoutOf(new Map(options), '/etc/my.cnf', 'db1')
  const driver = Object.assign(configuredDriver(), { layout: async () => layout })
  const folder = await privateFolder(datadir)
  const here = {
    tablet: parseAlias('zone1-101'),
    machine: { id: 'a'.repeat(32), host: 'db2' },
    serverUuid: undefined,
  }
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line)) })
  return {
    tablet: new LeasedTablet(driver, new LeaseFile(folder), async () => here, log),
    clones: new TabletClones(driver),
    lag: new LagMonitor(driver),
    folder,
    emptyBecause: undefined,
    keepType: async () => undefined,
    close: async () => undefined,
  }
}

test('an outage of Temporal in mid-restore is told as such: the run goes on, and its end is waited for', async () => {
  const directory = await temporaryDirectory()
  const port = await freePort()
  const first = await startTemporal({ directory, port })
  const connection = await NativeConnection.connect({ address: first.address })
  const client = new Client({ connection })
  const lines: Line[] = []
  const open = await emptyTablet(lines)
  const told = (level: number, event: string) => lines.find((line) => line.level === level && line.event === event)
  const bootstrapped = bootstrapEmptyTablet(client, open, new AbortController().signal)
  await waitUntil('its run is started', () => told(30, 'bootstrap') !== undefined)

  await first.kill()
  await waitUntil('the outage is told', () => lines.length > 1)
  expect(lines[1]).toMatchObject({
    level: 40,
    event: 'temporal',
    msg: expect.stringContaining('which is not lost'),
  })
  expect(open.emptyBecause).toBeUndefined()

  await using _ = await startTemporal({ directory, port })
  await client.workflow.getHandle(told(30, 'bootstrap')?.workflowId ?? '').terminate('end of the test')
  await bootstrapped
  expect(lines.filter(({ level }) => level >= 50)).toMatchObject([{ event: 'bootstrap' }])
  expect(lines.at(-1)?.msg).toMatch(/stays empty: .*end of the test|stays empty: .*terminated/i)
  expect(open.emptyBecause).toBeDefined()
  await connection.close()
}, 180_000)
