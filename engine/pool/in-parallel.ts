/**
 * Works on `items` in their order, `concurrency` at a time. The first that fails makes `signal` abort the others, and is thrown when
 * all have stopped; so is the reason of `signal` itself.
 */
export async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failure = new AbortController()
  const stop = AbortSignal.any([signal, failure.signal])
  const queue = items.values()
  const lane = async (): Promise<void> => {
    for (const item of queue) {
      if (stop.aborted) return
      try {
        await work(item, stop)
      } catch (error) {
        // Only the first reason counts: what failed, not what was stopped because of it.
        failure.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, lane))
  stop.throwIfAborted()
}
