import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Open files of this process below the directories. */
export function openFilesBelow(...directories: readonly string[]): string[] {
  const paths = readdirSync('/proc/self/fd').map((descriptor) =>
    orGone(() => readlinkSync(`/proc/self/fd/${descriptor}`)),
  )
  return paths.filter((path) => directories.some((directory) => path.startsWith(directory)))
}

/** How many worker threads this process has. */
export function workerThreads(): number {
  const names = readdirSync('/proc/self/task').map((task) =>
    orGone(() => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()),
  )
  return names.filter((name) => name === 'WorkerThread').length
}

/** Whether no worker thread is left. One that has ended is listed until the kernel has taken it away, a moment later. */
export function areWorkersGone(): boolean {
  const end = performance.now() + 10_000
  while (workerThreads() > 0) {
    if (performance.now() > end) return false
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  }
  return true
}

/** What is read from /proc may end while it is read. */
function orGone(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
