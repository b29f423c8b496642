import type { Logger } from 'pino'

/** Longer than a step takes to end that does not hang; shorter than Kubernetes waits, whose SIGKILL would leave no word of what was waited for. */
const LONGEST_END = 25_000

/**
 * Does `work`, and sees to it that this process ends within 25 s of `stop`, or of a failure. A call on a mount that hangs never returns, and
 * `process.exit` would wait for it as well: what has not ended by then is killed. The next process finds what a crash leaves, and goes on
 * from there.
 */
export async function endInTime(
  stop: AbortSignal,
  log: Logger,
  work: () => Promise<void>,
  longest = LONGEST_END,
): Promise<void> {
  const killLater = (since: string): void => {
    const kill = (): void => {
      const waitsFor = [...new Set(process.getActiveResourcesInfo())]
      log.error(
        { event: 'killed', waitsFor },
        `${since} ${longest / 1000} s ago, and something does not end: killing this process, as a crash would`,
      )
      process.kill(process.pid, 'SIGKILL')
    }
    setTimeout(kill, longest).unref()
  }
  stop.addEventListener('abort', () => killLater('told to stop'), { once: true })
  try {
    await work()
  } catch (error) {
    killLater('failed')
    throw error
  }
}
