import { describeObjectStore } from '../storage/conformance.ts'
import { newRoot, useCeph } from './s3-server.ts'
import { describeS3Uploads } from './s3-uploads.ts'

const ceph = useCeph()

describeObjectStore('a Ceph store', async () => ({ ...newRoot(ceph().server), visibleAt: 'finish' }))
describeS3Uploads('a Ceph store', ceph)
