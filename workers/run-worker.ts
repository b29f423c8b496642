import type { Worker } from '@temporalio/worker'

/**
 * Runs a worker until `signal` is aborted or it fails; resolves or rejects when it has ended. One that was created has to run, since it
 * gives its connection back at its end only: where the signal is aborted already, it ends at once.
 * @param polls called when it takes tasks
 */
export async function runUntilAborted(worker: Worker, signal: AbortSignal, polls: () => void): Promise<void> {
  const shutdown = (): void => {
    if (worker.getState() === 'RUNNING') worker.shutdown()
  }
  signal.addEventListener('abort', shutdown, { once: true })
  const running = worker.run()
  try {
    // A signal that was aborted before does not tell its listeners.
    if (signal.aborted) shutdown()
    else polls()
  } catch (error) {
    shutdown()
    await running.catch(() => undefined)
    throw error
  }
  await running
}
