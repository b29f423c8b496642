import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../sandbox/free-port.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'

const shard = defineSearchAttributeKey('TabletkeeperShard', SearchAttributeType.KEYWORD)

describe("Temporal's dev server", () => {
  let directory: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'a temporal '))
  })

  afterAll(() => rm(directory, { recursive: true }))

  it('keeps workflows and their search attributes through a crash', async () => {
    const first = await startTemporal({ directory })
    await onServer(first.address, (client) =>
      client.workflow.start('none', {
        workflowId: 'survivor',
        taskQueue: 'nobody',
        typedSearchAttributes: new TypedSearchAttributes([{ key: shard, value: 'commerce/0' }]),
      }),
    )
    await first.kill()

    const [, port] = first.address.split(':')
    await using second = await startTemporal({ directory, port: Number(port) })
    const found = await onServer(second.address, (client) => client.workflow.getHandle('survivor').describe())
    expect(found.status.name).toBe('RUNNING')
    expect(found.typedSearchAttributes.get(shard)).toBe('commerce/0')
  })

  it('serves its web UI when a port for it is given', async () => {
    const uiPort = await freePort()
    await using server = await startTemporal({ directory: join(directory, 'ui'), uiPort })
    await expect.poll(async () => (await fetch(`${server.uiAddress}/`).catch(() => undefined))?.status).toBe(200)
  })

  it('does not take another server at its port for itself', async () => {
    await using first = await startTemporal({ directory: join(directory, 'taken') })
    const port = Number(first.address.split(':')[1])
    await expect(startTemporal({ directory: join(directory, 'second'), port })).rejects.toThrow(/is taken/)
  })
})

async function onServer<T>(address: string, act: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address })
  try {
    return await act(new Client({ connection }))
  } finally {
    await connection.close()
  }
}
