import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { combineCrc32, restOfCrc32 } from '../../model/crc32-combine.ts'

const MEBIBYTE = 1024 * 1024

test('the CRC-32 of two pieces is that of both joined, as zlib has it', () => {
  const piece = fc.uint8Array({ maxLength: 3000 })
  fc.assert(
    fc.property(piece, piece, (first, second) => {
      expect(combineCrc32(crc32(first), crc32(second), second.length)).toBe(crc32(second, crc32(first)))
    }),
  )
})

test('what is behind a piece has the CRC-32 that is left when the piece is taken away', () => {
  const piece = fc.uint8Array({ maxLength: 3000 })
  fc.assert(
    fc.property(piece, piece, (first, rest) => {
      const all = crc32(rest, crc32(first))
      expect(restOfCrc32(all, crc32(first), rest.length)).toBe(crc32(rest))
    }),
  )
})

test('pieces may be cut anywhere, and joined in any grouping', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 500 }), { minLength: 1, maxLength: 20 }), (pieces) => {
      const forwards = pieces.reduce((crc, piece) => combineCrc32(crc, crc32(piece), piece.length), 0)
      const backwards = pieces.reduceRight(
        (rest, piece) => ({
          crc: combineCrc32(crc32(piece), rest.crc, rest.length),
          length: rest.length + piece.length,
        }),
        { crc: 0, length: 0 },
      )
      expect(forwards).toBe(crc32(Buffer.concat(pieces)))
      expect(backwards.crc).toBe(forwards)
    }),
  )
})

test('the second piece may be longer than 4 GiB', () => {
  // Zeros, 8 GiB of them: doubled from one that zlib knows.
  let [crc, length] = [crc32(Buffer.alloc(MEBIBYTE)), MEBIBYTE]
  for (; length < 8192 * MEBIBYTE; length *= 2) crc = combineCrc32(crc, crc, length)
  const first = crc32('first')
  let step = first
  for (let at = 0; at < 8192; at += 1024) {
    let [part, partLength] = [crc32(Buffer.alloc(MEBIBYTE)), MEBIBYTE]
    for (; partLength < 1024 * MEBIBYTE; partLength *= 2) part = combineCrc32(part, part, partLength)
    step = combineCrc32(step, part, partLength)
  }
  expect(combineCrc32(first, crc, length)).toBe(step)
})

test('a piece of nothing changes nothing', () => {
  expect(combineCrc32(crc32('some'), 0, 0)).toBe(crc32('some'))
  expect(combineCrc32(0, crc32('some'), 4)).toBe(crc32('some'))
})
