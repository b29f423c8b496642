import { describeObjectStore } from '../storage/conformance.ts'
import { describeLeftovers } from '../storage/leftovers.ts'
import { newRoot, useFakeGcs } from './gcs-server.ts'

const gcs = useFakeGcs()

describeObjectStore('a Google Cloud Storage store', async () => ({
  ...newRoot(gcs().endpoint),
  visibleAt: 'finish',
}))
describeLeftovers('a Google Cloud Storage store', async () => newRoot(gcs().endpoint))
