import { expect, test } from 'vitest'
import { forAll } from '../../storage/for-all.ts'
import { describeObjectStore } from '../storage/conformance.ts'
import { describeLeftovers } from '../storage/leftovers.ts'
import { keysOf } from '../storage/store-under-test.ts'
import { newRoot, useVersitygw } from './s3-server.ts'
import { describeS3Uploads } from './s3-uploads.ts'

const s3 = useVersitygw()

describeObjectStore('an S3 store', async () => ({ ...newRoot(s3().server), visibleAt: 'finish' }))
describeS3Uploads('an S3 store', s3)
describeLeftovers('an S3 store', async () => newRoot(s3().server))

/** Enough for several pages and batches; more of them take minutes. */
const KEYS = Number(process.env['TABLETKEEPER_TEST_KEYS'] ?? 3_000)

test(`an S3 store: ${KEYS} objects are listed in order, and removed`, async () => {
  const store = newRoot(s3().server).open()
  const keys = Array.from({ length: KEYS }, (_, index) => `k/0/a/${index}`)
  await forAll(keys, 32, (key) => store.put(key, Buffer.from('x')))
  expect(await keysOf(store, '')).toEqual(keys.toSorted())
  expect(await keysOf(store, 'k/0/a/1')).toEqual(keys.filter((key) => key.startsWith('k/0/a/1')).sort())
  await store.delete(keys.slice(1))
  expect(await keysOf(store, '')).toEqual(['k/0/a/0'])
})
