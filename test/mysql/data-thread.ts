import { parentPort, workerData } from 'node:worker_threads'
import { nextData } from '../../mysql/system/file-blocks.ts'

// A thread for file-blocks.test.ts: looks for data in an open file.
parentPort?.postMessage(nextData(workerData, 0))
