/**
 * Answers every call by a look that began after it, and never looks twice at once: calls in the middle of a look share the one that follows. What
 * hangs in the file system takes one thread that way, however often it is asked for.
 */
export function oneAtATime<T>(look: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined
  const begin = (): Promise<T> => {
    next = undefined
    const begun = look().finally(() => {
      if (running === begun) running = undefined
    })
    running = begun
    return begun
  }
  return () => {
    if (running === undefined) return begin()
    next ??= running.then(begin, begin)
    return next
  }
}
