import { describeObjectStore } from '../storage/conformance.ts'
import { newRoot, useFakeGcs } from './gcs-server.ts'

const gcs = useFakeGcs()

describeObjectStore('a Google Cloud Storage store', async () => ({
  ...newRoot(gcs().endpoint),
  visibleAt: 'finish',
}))
