/** Waits for the end of `work` now; its result is given, or its failure thrown, when it is asked for. */
export async function settled<T>(work: Promise<T>): Promise<() => T> {
  const [outcome] = await Promise.allSettled([work])
  return () => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  }
}
