/**
 * `action` over `items`, at most `atOnce` of them at a time, results in their order. Where one fails, those that have begun are waited
 * for, and no others begin: nothing is at work any more when the first failure is thrown.
 */
export async function forAll<T, R>(items: readonly T[], atOnce: number, action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += atOnce) {
    const begun = items.slice(at, at + atOnce).map(action)
    await Promise.allSettled(begun)
    results.push(...(await Promise.all(begun)))
  }
  return results
}
