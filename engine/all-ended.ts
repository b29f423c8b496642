/** `Promise.all`, but what failed is thrown when nothing of it is at work any more: the failure that comes first in `work`. */
export async function allEnded<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work)
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
