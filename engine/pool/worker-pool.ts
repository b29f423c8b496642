import { Worker } from 'node:worker_threads'
import { errorOf } from './task-error.ts'
import type { Result, Task, TaskAnswer, TaskMessage, TaskName } from './tasks.ts'

export interface WorkerData {
  /** One Int32 that becomes 1 when no task shall begin any more, and none write what it was kept from until then. */
  readonly cancelled: SharedArrayBuffer
  readonly nice: number
}

export interface PoolOptions {
  /** Threads, each of which does one task at a time. */
  readonly size: number
  /** 0 to 19: how much other work on the host goes first. */
  readonly nice?: number
  /** What the store calls itself, for messages about files that are its. */
  readonly storage: string
}

interface Job {
  readonly message: TaskMessage
  readonly transfer: readonly ArrayBuffer[]
  settle(answer: TaskAnswer): void
  fail(error: Error): void
}

interface Thread {
  readonly worker: Worker
  /** One at work and one that waits, so that the thread never waits for this one. */
  readonly jobs: Map<number, Job>
}

const JOBS_OF_A_THREAD = 2

/** Their heaps hold next to nothing: large ones only delay the collection of what is dead. */
const HEAP = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 }

const code = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/**
 * Threads that read, check, compress and decompress. The thread that has the pool stays free, so that heartbeats and cancellation are
 * never late. Whoever gives it tasks bounds their number, and thereby the memory.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #flag = new Int32Array(new SharedArrayBuffer(4))
  readonly #threads: Thread[]
  readonly #waiting: Job[] = []
  readonly #storage: string
  /** What a thread has ended by: nothing is given to the others either then, or it might wait for the one that is no more. */
  #failure: Error | undefined
  #lastId = 0

  constructor({ size, nice = 0, storage }: PoolOptions) {
    this.#storage = storage
    const workerData: WorkerData = { cancelled: this.#flag.buffer, nice }
    this.#threads = Array.from({ length: size }, () => {
      const thread: Thread = { worker: new Worker(code, { workerData, resourceLimits: HEAP }), jobs: new Map() }
      thread.worker.on('message', (answer: TaskAnswer) => this.#answered(thread, answer))
      thread.worker.on('error', (error: Error) => this.#failed(thread, error))
      thread.worker.on('exit', () => this.#failed(thread, new Error('a worker thread ended')))
      return thread
    })
  }

  /**
   * Does one task.
   * @param transfer memory of the task that changes hands instead of being copied
   * @throws the failure that the worker met, as one of the taxonomy; what a thread has ended by, if one has
   */
  run<Name extends TaskName>(
    name: Name,
    task: Task<Name>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Result<Name>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure)
        return
      }
      this.#lastId += 1
      this.#waiting.push({
        message: { id: this.#lastId, name, task },
        transfer,
        settle: (answer) => {
          // A worker answers a task of some name with the result of that name.
          if (answer.ok) resolve(answer.result as Result<Name>)
          else reject(errorOf(answer.error, this.#storage))
        },
        fail: reject,
      })
      this.#next()
    })
  }

  /** Makes all tasks that have not begun fail, and those that have end soon, and write nothing when they hung until now. */
  cancel(): void {
    Atomics.store(this.#flag, 0, 1)
  }

  /** Ends the threads; what they are at is finished first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel()
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #next(): void {
    for (;;) {
      const thread = this.#threads.reduce((least, other) => (other.jobs.size < least.jobs.size ? other : least))
      if (thread.jobs.size >= JOBS_OF_A_THREAD) return
      const job = this.#waiting.shift()
      if (job === undefined) return
      thread.jobs.set(job.message.id, job)
      thread.worker.postMessage(job.message, job.transfer)
    }
  }

  #answered(thread: Thread, answer: TaskAnswer): void {
    const job = thread.jobs.get(answer.id)
    thread.jobs.delete(answer.id)
    this.#next()
    job?.settle(answer)
  }

  #failed(thread: Thread, error: Error): void {
    this.#failure ??= error
    const jobs = [...thread.jobs.values(), ...this.#waiting.splice(0)]
    thread.jobs.clear()
    for (const job of jobs) job.fail(error)
  }
}
