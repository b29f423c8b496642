import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ZstdFrames } from '../../engine/frames/zstd-frames.ts'

const plainFrame = fc
  .record({ random: fc.nat(3000), same: fc.nat(300_000), checksum: fc.boolean(), level: fc.constantFrom(1, 3, 12) })
  .map(({ random, same, checksum, level }) => {
    const plain = Buffer.concat([randomBytes(random), Buffer.alloc(same, 'a')])
    const params = { [constants.ZSTD_c_checksumFlag]: Number(checksum), [constants.ZSTD_c_compressionLevel]: level }
    return { plain, stored: zstdCompressSync(plain, { params }) }
  })
const skippableFrame = fc.uint8Array({ maxLength: 50 }).map((content) => {
  const header = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, content.length, 0, 0, 0])
  return { plain: Buffer.alloc(0), stored: Buffer.concat([header, content]) }
})
const frames = fc
  .tuple(plainFrame, fc.array(fc.oneof(plainFrame, skippableFrame), { maxLength: 4 }))
  .map(([first, rest]) => [first, ...rest])

async function cut(bytes: Buffer, size: number): Promise<Buffer[]> {
  const input = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  )
  const pieces: Buffer[] = []
  await pipeline(Readable.from(input), new ZstdFrames(), async (source) => {
    for await (const piece of source) pieces.push(piece)
  })
  return pieces
}

async function decompress(pieces: readonly Buffer[]): Promise<Buffer> {
  const plain: Buffer[] = []
  await pipeline(Readable.from(pieces), createZstdDecompress(), async (source) => {
    for await (const piece of source) plain.push(piece)
  })
  return Buffer.concat(plain)
}

test('frames that are cut apart decompress as one stream, however they arrive', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.integer({ min: 1, max: 5000 }), async (all, size) => {
      const stored = Buffer.concat(all.map((frame) => frame.stored))
      const pieces = await cut(stored, size)
      expect(Buffer.concat(pieces).equals(stored)).toBe(true)
      expect((await decompress(pieces)).equals(Buffer.concat(all.map((frame) => frame.plain)))).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test('without the cuts Node stops after the first frame, which is why they are made', async () => {
  const both = Buffer.concat([zstdCompressSync('first'), zstdCompressSync(randomBytes(1000))])
  expect(String(await decompress([both]))).toBe('first')
})

test('what are no frames, or half ones, pass unchanged', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array(),
        plainFrame.map(({ stored }) => stored.subarray(0, -1)),
      ),
      fc.integer({ min: 1, max: 99 }),
      async (bytes, size) => {
        expect(Buffer.concat(await cut(Buffer.from(bytes), size)).equals(bytes)).toBe(true)
      },
    ),
    { numRuns: 50 },
  )
})
