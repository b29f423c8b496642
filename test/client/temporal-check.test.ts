import { Client, Connection } from '@temporalio/client'
import { afterEach, expect, test, vi } from 'vitest'
import { checkTemporal } from '../../client/checks/temporal.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { CONTROL_QUEUE } from '../../model/runs.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('a clock that is ahead of Temporal’s does not have a control that polls taken for none', async () => {
  await using server = await startTemporal({ directory: await temporaryDirectory() })
  await using keeper = await Tabletkeeper.connect({ address: server.address })
  expect(await checkTemporal(keeper)).toMatchObject({
    verdict: 'FAILED',
    message: expect.stringContaining('control ×0'),
    hint: 'Start tabletkeeper control on any host.',
  })

  await pollOnce(server.address)
  await waitUntil('it is known', async () => (await keeper.pollers(CONTROL_QUEUE)).length === 1)
  expect(await checkTemporal(keeper)).toMatchObject({
    verdict: 'OK',
    message: expect.stringContaining('control ×1'),
  })
  vi.setSystemTime(Date.now() + 120_000)
  expect(await checkTemporal(keeper)).toMatchObject({
    verdict: 'WARN',
    message: expect.stringMatching(/control ×0 \(last seen \d\d:\d\d:\d\d UTC: 4711@db9\)$/),
    hint: expect.stringContaining('the clock of this host is ahead'),
  })
})

/** What control does; Temporal answers a poll of less than a few seconds at once, and does not remember it. */
async function pollOnce(address: string): Promise<void> {
  const connection = await Connection.connect({ address })
  const { workflowService } = new Client({ connection })
  const asked = { namespace: 'default', taskQueue: { name: CONTROL_QUEUE }, identity: '4711@db9' }
  await connection
    .withDeadline(Date.now() + 5_000, () => workflowService.pollActivityTaskQueue(asked))
    .catch(() => undefined)
  await connection.close()
}
