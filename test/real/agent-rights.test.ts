import { describe, expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { agentRightsOf } from '../../storage/agent-rights.ts'
import { startProxy } from './gcs-proxy.ts'
import { newRoot, useFakeGcs } from './gcs-server.ts'
import { describeS3AgentRights } from './s3-agent-rights.ts'
import { useVersitygw } from './s3-server.ts'

describeS3AgentRights('an S3 store', useVersitygw())

const gcs = useFakeGcs()

describe('a Google Cloud Storage store: the rights of an agent', () => {
  const holder = { shard: parseShardName('commerce/0'), tablet: parseAlias('zone1-101') }
  const theirs = 'customer/-80/2026-01-02.030405.zone1-0000000200/0'

  test('are too many for who may do everything, and none where Google forbids it; no object is left elsewhere', async () => {
    const proxy = await startProxy(gcs().endpoint)
    const { open } = newRoot(proxy.endpoint)
    const store = open()
    expect(await agentRightsOf(store, holder)).toBeUndefined()
    await store.put(theirs, Buffer.from('theirs'))
    const all = { creation: 'allowed', reading: 'allowed', removal: 'allowed' }
    expect(await agentRightsOf(store, holder)).toEqual({ removal: 'allowed', elsewhere: all })
    const forbidden = { kind: 'answer', status: 403 } as const
    let made = 0
    proxy.fault = ({ method, path }) => {
      if (method === 'DELETE') return forbidden
      if (method === 'GET' && path.includes('customer') && !path.includes('?prefix')) return forbidden
      // The names of what is made are in bodies: the first is the probe.
      return method === 'POST' && ++made > 1 ? forbidden : undefined
    }
    const none = { creation: 'denied', reading: 'denied', removal: 'denied' }
    expect(await agentRightsOf(store, holder)).toEqual({ removal: 'denied', elsewhere: none })
    proxy.fault = () => undefined
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual([theirs])
  })
})
