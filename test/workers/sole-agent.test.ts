import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { agentIdentity, type Machine } from '../../model/machine.ts'
import { agentQueue } from '../../model/runs.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { readPollers } from '../../workers/pollers.ts'
import { agentsElsewhere, assertSoleAgent, polledLately } from '../../workers/sole-agent.ts'

const HERE: Machine = { id: 'a'.repeat(32), host: 'db1' }
const RIVAL = agentIdentity({ id: 'c'.repeat(32), host: 'db9' }, 4711)

let directory: string
let server: TemporalServer
let connection: Connection
let client: Client

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  server = await startTemporal({ directory })
  connection = await Connection.connect({ address: server.address })
  client = new Client({ connection })
})
afterEach(() => {
  vi.useRealTimers()
})
afterAll(async () => {
  await connection?.close()
  await server?.stop()
  await rm(directory, { recursive: true, force: true })
})

/** What an agent does; Temporal answers a poll of less than a few seconds at once, and does not remember it. */
async function poll(taskQueue: string, identity: string): Promise<void> {
  const asked = { namespace: 'default', taskQueue: { name: taskQueue }, identity }
  await connection
    .withDeadline(Date.now() + 5_000, () => client.workflowService.pollActivityTaskQueue(asked))
    .catch(() => undefined)
}

describe('where the clock of an agent’s host is minutes ahead of Temporal’s', () => {
  test('a second agent is seen', async () => {
    const alias = parseAlias('zone1-101')
    const queue = agentQueue(alias)
    await Promise.all([poll(queue, RIVAL), poll(queue, agentIdentity(HERE, 1))])
    await waitUntil('both are known', async () => (await readPollers(client, queue)).length === 2)
    vi.setSystemTime(Date.now() + 120_000)
    expect(await agentsElsewhere(client, alias, HERE)).toMatchObject([{ identity: RIVAL }])
  })

  test('one that polls is waited for, and refused', async () => {
    const alias = parseAlias('zone1-102')
    const queue = agentQueue(alias)
    await poll(queue, RIVAL)
    await waitUntil('it is known', async () => (await readPollers(client, queue)).length === 1)
    vi.setSystemTime(Date.now() + 120_000)
    const waited = Promise.withResolvers<string>()
    let isOver = false
    const asserted = assertSoleAgent(client, alias, HERE, new AbortController().signal, waited.resolve)
      .then(
        () => waited.reject(new Error('it is taken for the only one')),
        (error: unknown) => error,
      )
      .finally(() => {
        isOver = true
      })
    expect(await waited.promise).toBe(RIVAL)
    while (!isOver) await poll(queue, RIVAL)
    expect(await asserted).toMatchObject({ type: 'TabletBusy', message: expect.stringContaining(RIVAL) })
  })
})

test('who has not polled for longer than a poll lasts, when another did, is gone', () => {
  const seen = (identity: string, seconds: number) => ({ identity, lastSeen: new Date(seconds * 1000) })
  const [own, rival] = [seen('1@db1#aaaaaaaaaaaa', 1_070), seen(RIVAL, 1_000)]
  expect(polledLately([own, rival])).toEqual([own])
  expect(polledLately([own, seen(RIVAL, 1_001)])).toHaveLength(2)
  // Nobody knows what time it is: it may be alive.
  expect(polledLately([rival])).toEqual([rival])
  expect(polledLately([])).toEqual([])
})
