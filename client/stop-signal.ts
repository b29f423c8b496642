import type { Logger } from 'pino'

/** As `stopSignal`; this process ends within 25 s of it. */
export function stopInTime(log: Logger): AbortSignal {
  const stop = stopSignal()
  endInTime(stop, log)
  return stop
}

/** Aborted by SIGINT or SIGTERM. Later ones change nothing: what is held by this process has to be ended in order. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort())
  return stopping.signal
}

/** Longer than a step takes to end that does not hang; shorter than Kubernetes waits, whose SIGKILL would leave no word of what was waited for. */
const LONGEST_END = 25_000

/**
 * Sees to it that this process ends within 25 s of `stop`. A call on a mount that hangs never returns, and `process.exit` would wait for
 * it as well: what has not ended by then is killed. The next process finds what a crash leaves, and goes on from there.
 */
function endInTime(stop: AbortSignal, log: Logger): void {
  stop.addEventListener(
    'abort',
    () => {
      const kill = (): void => {
        const waitsFor = [...new Set(process.getActiveResourcesInfo())]
        log.error(
          { event: 'killed', waitsFor },
          `told to stop ${LONGEST_END / 1000} s ago, and something does not end: killing this process, as a crash would`,
        )
        process.kill(process.pid, 'SIGKILL')
      }
      setTimeout(kill, LONGEST_END).unref()
    },
    { once: true },
  )
}
