import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { describeObjectStore } from '../storage/conformance.ts'
import { describeLeftovers } from '../storage/leftovers.ts'
import { contentOf } from '../storage/store-under-test.ts'
import { describeS3AgentRights } from './s3-agent-rights.ts'
import { newRoot, useCeph } from './s3-server.ts'
import { describeS3Uploads } from './s3-uploads.ts'
import { startWayToAbsent } from './way-to-absent.ts'

const ceph = useCeph()

describeObjectStore('a Ceph store', async () => ({ ...newRoot(ceph().server), visibleAt: 'finish' }))
describeS3Uploads('a Ceph store', ceph)
describeLeftovers('a Ceph store', async () => newRoot(ceph().server))
describeS3AgentRights('a Ceph store', ceph)

test('a Ceph store: an upload goes on when the gateway dies in its midst and comes back', async () => {
  const { started, server } = ceph()
  const way = await startWayToAbsent(server.endpoint)
  const store = newRoot({ ...server, endpoint: way.endpoint }).open()
  const upload = await store.upload('k/0/a/')
  const writer = await upload.open('0', 0)
  const content = randomBytes(100 * 1024 * 1024)
  const half = content.length / 2
  await writer.write(content.subarray(0, half))
  await waitUntil('parts have arrived', () => writer.kept > 0)
  way.close()
  await started.killGateway()
  const writing = writer.write(content.subarray(half)).then(() => writer.finish())
  // Parts on their way fail meanwhile, and are sent again.
  const comingBack = way.refused.then(() => started.startGateway()).then(() => way.open())
  await Promise.all([writing, comingBack])
  await writer.close()
  await upload.commit(['0'])
  expect((await contentOf(store, 'k/0/a/0')).equals(content)).toBe(true)
})
