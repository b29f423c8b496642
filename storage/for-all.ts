/** `Promise.all` of `action` over `items`, at most `atOnce` of them at a time, results in their order. */
export async function forAll<T, R>(items: readonly T[], atOnce: number, action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += atOnce) {
    results.push(...(await Promise.all(items.slice(at, at + atOnce).map(action))))
  }
  return results
}
