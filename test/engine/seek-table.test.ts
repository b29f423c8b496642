import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type FramePlace,
  formatSeekTable,
  parseSeekTable,
  type SeekTableOf,
  seekTableSize,
} from '../../engine/frames/seek-table.ts'
import { ofType } from '../storage/store-under-test.ts'

const FRAME = 1000
/** ZSTD_COMPRESSBOUND of no more than that, with room for a checksum. */
const MOST_OVERHEAD = 1024 + Math.ceil(FRAME / 128)

/** An object of frames of 1000 plain bytes, and what its seek table must agree with. */
const objects = fc
  .record({
    stored: fc.array(fc.integer({ min: 9, max: FRAME + 20 }), { minLength: 1, maxLength: 12 }),
    last: fc.integer({ min: 1, max: FRAME }),
  })
  .map(({ stored, last }) => {
    const frames = stored.map((size, index) => ({ stored: size, plain: index === stored.length - 1 ? last : FRAME }))
    const table = formatSeekTable(frames)
    const of: SeekTableOf = {
      key: 'commerce/0/x/3',
      stored: table.length + stored.reduce((sum, size) => sum + size, 0),
      plain: (stored.length - 1) * FRAME + last,
      frameSize: FRAME,
    }
    return { frames, table, of }
  })

/** What a reader may rely on, whatever the table held. */
function expectFitting(places: Iterable<FramePlace>, table: Buffer, of: SeekTableOf): void {
  let [stored, plain] = [0, 0]
  for (const place of places) {
    expect(place).toMatchObject({ storedOffset: stored, plainOffset: plain })
    expect(place.stored).toBeGreaterThan(0)
    expect(place.stored).toBeLessThanOrEqual(place.plain + MOST_OVERHEAD)
    expect(place.plain).toBeLessThanOrEqual(of.frameSize)
    stored += place.stored
    plain += place.plain
  }
  expect(stored + table.length).toBe(of.stored)
  expect(plain).toBe(of.plain)
}

test('a seek table gives back the places of all frames', () => {
  fc.assert(
    fc.property(objects, ({ frames, table, of }) => {
      const places = [...parseSeekTable(table, of)]
      expect(places.map(({ stored, plain }) => ({ stored, plain }))).toEqual(frames)
      expect(table).toHaveLength(seekTableSize(frames.length))
      expectFitting(places, table, of)
    }),
  )
})

test('it is laid out as the Zstandard seekable format says', () => {
  const table = formatSeekTable([
    { stored: 0x01020304, plain: 0x800000 },
    { stored: 21, plain: 5 },
  ])
  expect(table.toString('hex')).toBe(
    [
      '5e2a4d18' + '19000000', // Skippable frame E of 25 bytes.
      '04030201' + '00008000',
      '15000000' + '05000000',
      '02000000' + '00' + 'b1ea928f', // Two frames, without checksums.
    ].join(''),
  )
})

test('a table that was changed in any way is refused, or fits the object all the same', () => {
  const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(objects, change, fc.integer({ min: -30, max: 30 }), ({ table, of }, changes, longer) => {
      const changed = Buffer.alloc(Math.max(0, table.length + Math.max(0, longer - 20)))
      table.copy(changed)
      for (const [at, value] of changes) changed[at % changed.length] = value
      const cut = changed.subarray(0, changed.length + Math.min(0, longer))
      try {
        expectFitting(parseSeekTable(cut, of), cut, of)
      } catch (error) {
        expect(error).toEqual(ofType('CorruptBackup'))
      }
    }),
    { numRuns: 3000 },
  )
})

test('a table of any stored sizes is refused, or is safe to allocate and read by', () => {
  const sizes = fc.array(fc.oneof(fc.nat(0xffffffff), fc.nat(2 * FRAME), fc.constant(0)), {
    minLength: 1,
    maxLength: 4,
  })
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: FRAME }), (all, last) => {
      const table = formatSeekTable(
        all.map((stored, index) => ({ stored, plain: index === all.length - 1 ? last : FRAME })),
      )
      const stored = table.length + all.reduce((sum, size) => sum + size, 0)
      const of = { key: 'k', stored, plain: (all.length - 1) * FRAME + last, frameSize: FRAME }
      try {
        expectFitting(parseSeekTable(table, of), table, of)
      } catch (error) {
        expect(error).toEqual(ofType('CorruptBackup'))
      }
    }),
    { numRuns: 1000 },
  )
})

test.each([
  ['no bytes in storage', [0, 1020]],
  ['more than any 1000 bytes take', [4_000_000_000, 20]],
])('a frame of %s is refused, though all sizes add up', (_, sizes) => {
  const frames = sizes.map((stored) => ({ stored, plain: FRAME }))
  const table = formatSeekTable(frames)
  const stored = table.length + sizes.reduce((sum, size) => sum + size, 0)
  expect(() => parseSeekTable(table, { key: 'k', stored, plain: 2 * FRAME, frameSize: FRAME })).toThrow(
    ofType('CorruptBackup'),
  )
})
