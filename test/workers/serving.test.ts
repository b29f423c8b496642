import { once } from 'node:events'
import { constants } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { runCommand } from '../../sandbox/command.ts'
import { TabletClones } from '../../tablets/clones.ts'
import { LagMonitor } from '../../tablets/lag-monitor.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { LeasedTablet } from '../../tablets/leased-tablet.ts'
import { AttendedTablet } from '../../workers/attended-tablet.ts'
import { oneAtATime } from '../../workers/one-at-a-time.ts'
import { serveHealth } from '../../workers/serving.ts'
import { eventually } from '../integration/assertions.ts'
import { MINIMAL, parse } from '../model/minimal-config.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { configuredDriver } from '../tablets/configured-driver.ts'

test('a data directory that hangs is told of in time, and holds one thread whoever asks', async () => {
  const datadir = join(await temporaryDirectory(), 'data')
  await mkdir(datadir)
  const folder = await privateFolder(datadir)
  const driver = configuredDriver()
  const here = async () => ({
    tablet: parseAlias('zone1-101'),
    machine: { id: 'a'.repeat(32), host: 'db2' },
    serverUuid: undefined,
  })
  const tablet = new LeasedTablet(driver, new LeaseFile(folder), here, pino({ level: 'silent' }))
  const configured = parse(MINIMAL)
  const config = { ...configured, agent: { ...configured.agent, listen: { host: '127.0.0.1', port: 0 } } }
  const opened = {
    tablet,
    clones: new TabletClones(driver),
    lag: new LagMonitor(driver),
    folder,
    emptyBecause: undefined,
    keepType: async () => undefined,
    close: async () => undefined,
  }
  const attended = new AttendedTablet(driver.alias, async () => opened, pino({ level: 'silent' }))
  await attended.tryToOpen()
  const server = await serveHealth(config, [attended])
  onTestFinished(async () => {
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/tablets/${driver.alias}/serving`)
    return { status: response.status, body: await response.text() }
  }
  const lease = join(folder, 'lease.json')
  // Nobody can read it before somebody writes, as on a mount that hangs.
  await runCommand('mkfifo', [lease])
  const answers = await Promise.all(Array.from({ length: 20 }, ask))
  for (const { status, body } of answers) {
    expect(status).toBe(503)
    expect(body).toContain('the data directory does not answer within 2 s')
  }
  // Of all the reads that wait for a writer, one was begun.
  expect(process.getActiveResourcesInfo().filter((kind) => kind.startsWith('FSReq'))).toHaveLength(1)
  const writer = await open(lease, constants.O_WRONLY)
  await rm(lease)
  await writer.close()
  await eventually(ask, ({ body }) => body.includes('not observed yet'))
})

test('a question is answered by a look that began after it', async () => {
  const looks: PromiseWithResolvers<number>[] = []
  const ask = oneAtATime(() => {
    const look = Promise.withResolvers<number>()
    looks.push(look)
    return look.promise
  })
  const [first, second, third] = [ask(), ask(), ask()]
  expect(looks).toHaveLength(1)
  looks[0]?.resolve(1)
  expect(await first).toBe(1)
  await expect.poll(() => looks.length).toBe(2)
  looks[1]?.resolve(2)
  expect(await Promise.all([second, third])).toEqual([2, 2])
})
