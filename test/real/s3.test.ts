import { describeObjectStore } from '../storage/conformance.ts'
import { newRoot, useVersitygw } from './s3-server.ts'
import { describeS3Uploads } from './s3-uploads.ts'

const s3 = useVersitygw()

describeObjectStore('an S3 store', async () => ({ ...newRoot(s3().server), visibleAt: 'finish' }))
describeS3Uploads('an S3 store', s3)
