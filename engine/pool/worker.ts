// One thread of the worker pool: it does each task from beginning to end, synchronously.
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { compressOneFrame, compressWholeFile } from '../backup/compress-task.ts'
import { restoreOneFrame, restoreWholeFile } from '../restore/restore-task.ts'
import { taskErrorOf } from './task-error.ts'
import type { Result, Task, TaskAnswer, TaskMessage, TaskName } from './tasks.ts'
import type { WorkerData } from './worker-pool.ts'

const { cancelled, nice }: WorkerData = workerData
const flag = new Int32Array(cancelled)

const actions: { readonly [Name in TaskName]: (task: Task<Name>) => Result<Name> } = {
  compressFrame: compressOneFrame,
  compressFiles: ({ files, level }) => ({
    files: files.map((file) => {
      stopIfCancelled()
      return compressWholeFile(file, level, stopIfCancelled)
    }),
  }),
  restoreFrame: (task) => restoreOneFrame(task, stopIfCancelled),
  restoreFiles: ({ files }) => ({
    files: files.map((file) => {
      stopIfCancelled()
      return restoreWholeFile(file, stopIfCancelled)
    }),
  }),
}

if (nice !== 0) {
  // On Linux a thread has a priority of its own; where it cannot be told, all of the process keep theirs.
  setPriority(Number(basename(readlinkSync('/proc/thread-self'))), nice)
}

parentPort?.on('message', (message: TaskMessage) => {
  const answer = answerTo(message)
  parentPort?.postMessage(answer, transferable(answer))
})

function answerTo({ id, name, task }: TaskMessage): TaskAnswer {
  try {
    stopIfCancelled()
    const act: (task: never) => Result<TaskName> = actions[name]
    return { id, ok: true, result: act(task as never) }
  } catch (error) {
    return { id, ok: false, error: taskErrorOf(error) }
  }
}

function stopIfCancelled(): void {
  if (Atomics.load(flag, 0) !== 0) throw new Error('cancelled')
}

/** Stored bytes change hands without being copied. */
function transferable(answer: TaskAnswer): ArrayBuffer[] {
  if (!answer.ok) return []
  if ('bytes' in answer.result) return buffersOf(answer.result.bytes)
  return 'files' in answer.result
    ? answer.result.files.flatMap((file) => ('bytes' in file ? buffersOf(file.bytes) : []))
    : []
}

function buffersOf(bytes: Uint8Array | undefined): ArrayBuffer[] {
  return bytes !== undefined && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []
}
