import { parentPort, workerData } from 'node:worker_threads'
import { nextData, nextHole } from '../../mysql/system-calls.ts'

// A thread for system-calls.test.ts: looks for data in an open file.
parentPort?.postMessage([nextData(workerData, 0), nextHole(workerData, 0)])
