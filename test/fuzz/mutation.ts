/** Random numbers from a seed, the same on every machine (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What formats break by: ends of ranges, what leaves a directory, what a parser takes for its own. */
const INTERESTING = [
  ...['', '0', '-1', '1', '255', '65536', '4294967296', '9007199254740993', '18446744073709551616', '1e999', 'NaN'],
  ...[
    'null',
    'true',
    '{}',
    '[]',
    '[',
    '{',
    '"',
    "'",
    ':',
    ',',
    '-',
    '--',
    '=',
    '..',
    '../',
    '/',
    '\\',
    '~',
    '*',
    '&a',
    '*a',
  ],
  ...[
    '\0',
    '\n',
    '\r\n',
    '\t',
    '\u{feff}',
    '\u{202e}',
    '\u{1f600}',
    '\ud800',
    '%00',
    '%2e%2e%2f',
    '__proto__',
    'constructor',
  ],
  ...[
    '../../etc/passwd',
    '/etc/passwd',
    '.tabletkeeper',
    'mysql.ibd',
    '!!js/function',
    '<<: *a',
    '2026-11-24T02:30:00Z',
  ],
] as const

/**
 * Changes a text in one to four places: a part is dropped, doubled, moved, replaced by something interesting, by another part of one of the
 * samples or by a random character. One of two hundred is random from its beginning to its end.
 */
export function mutate(samples: readonly string[], random: () => number): string {
  const below = (bound: number) => Math.floor(random() * bound)
  const sample = () => samples[below(samples.length)] ?? ''
  if (below(200) === 0) return Array.from({ length: below(300) }, () => String.fromCodePoint(below(0x250))).join('')
  let text = sample()
  for (let left = 1 + below(4); left > 0; left -= 1) {
    const at = below(text.length + 1)
    const end = Math.min(text.length, at + below(below(10) === 0 ? 200 : 8))
    const part = text.slice(at, end)
    const other = sample()
    const from = below(other.length + 1)
    const put = [
      '',
      part + part,
      part.repeat(below(20)),
      INTERESTING[below(INTERESTING.length)] ?? '',
      other.slice(from, from + below(40)),
      String.fromCodePoint(below(128)),
    ][below(6)]
    text = text.slice(0, at) + (put ?? '') + text.slice(end)
  }
  return text
}

/** The same for bytes, which stay as many as they were or become fewer. */
export function mutateBytes(sample: Buffer, random: () => number): Buffer {
  const below = (bound: number) => Math.floor(random() * bound)
  const bytes = Buffer.from(sample)
  for (let left = 1 + below(4); left > 0; left -= 1) {
    const at = below(bytes.length)
    bytes[at] = [0, 1, 0x7f, 0x80, 0xff, below(256), (bytes[at] ?? 0) ^ (1 << below(8))][below(7)] ?? 0
  }
  return below(10) === 0 ? bytes.subarray(0, below(bytes.length + 1)) : bytes
}
