import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { expect, it, onTestFinished } from 'vitest'
import { type RunView, Tabletkeeper } from '../../client/tabletkeeper.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { SHARD, TABLET } from './run-views.ts'

it('a run is followed through a crash of Temporal, to its end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const port = await freePort()
  const first = await startTemporal({ directory, port })
  await using keeper = await Tabletkeeper.connect({ address: first.address })
  // Nobody runs workflows here: this one waits, as a run does whose control is away.
  const run = await keeper.backup({ shard: SHARD, tablet: TABLET })
  const views: RunView[] = []
  const followed = run.follow((view) => views.push(view)).catch((error: unknown) => error)
  await waitUntil('it is seen', () => views.at(-1)?.status?.state === 'running')

  await first.kill()
  await waitUntil('the outage is seen', () => views.length > 0 && views.at(-1)?.status === undefined)

  await using second = await startTemporal({ directory, port })
  await waitUntil('it is seen again', () => views.at(-1)?.status?.state === 'running')
  const connection = await Connection.connect({ address: second.address })
  await new Client({ connection }).workflow.getHandle(run.workflowId).terminate('end of the test')
  await connection.close()
  expect(await followed).toMatchObject({
    name: 'RunFailed',
    type: 'Terminated',
    message: expect.stringContaining('end of the test'),
  })
  expect(views.at(-1)?.status?.state).toBe('terminated')
}, 180_000)
