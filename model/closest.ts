/** Those of `known` that `word` may have been meant to be, likeliest first. */
export function closest(word: string, known: readonly string[]): string[] {
  return known
    .map((name) => ({ name, distance: distanceOf(plain(word), plain(name)) }))
    .filter(({ distance }) => distance <= Math.max(2, word.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name)
}

/** `max_lag`, `max-lag` and `maxLag` are one word. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '').slice(0, 64)
}

/** Letters to add, drop or change (Levenshtein); 1 when one word begins with the other. */
function distanceOf(a: string, b: string): number {
  if (a.length > 2 && b.length > 2 && (a.startsWith(b) || b.startsWith(a))) return a === b ? 0 : 1
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      const change = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
