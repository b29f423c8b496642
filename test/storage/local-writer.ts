import { closeSync, openSync, writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { FILE_MODE } from '../../storage/file/durable-file.ts'

// A thread for file-upload.test.ts: writes a file that becomes an object.
const { path, fill, size }: { path: string; fill: number; size: number } = workerData
const descriptor = openSync(path, 'w', FILE_MODE)
writeSync(descriptor, Buffer.alloc(size, fill))
closeSync(descriptor)
