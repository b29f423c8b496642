/** Numbers from 0 up to 1, always the same ones for the same seed. */
export type Random = () => number

/** Mulberry32, seeded by FNV-1a of the words: what one case draws depends on nothing that ran before it. */
export function randomOf(...words: readonly (string | number)[]): Random {
  let state = 0x811c9dc5
  for (const character of words.join('\0')) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The items in another order. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
