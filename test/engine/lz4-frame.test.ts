import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeLz4 } from '../../engine/frames/lz4-frame.ts'
import { XxHash32 } from '../../engine/frames/xxhash32.ts'

// Written by github.com/pierrec/lz4/v4 as Vitess calls it (go/vt/mysqlctl/compression.go).
const VITESS_EMPTY = Buffer.from('BCJNGGRwuQAAAAAFXcwC', 'base64')
const VITESS_TEXT = Buffer.from('BCJNGGRwuRkAAABvaGVsbG8gBgAJ4G8gdGFibGV0a2VlcGVyAAAAAE2eSWg=', 'base64')
const TEXT = 'hello hello hello hello hello hello tabletkeeper'

const program = commandThere()

async function decode(...pieces: readonly Buffer[]): Promise<Buffer> {
  const plain: Buffer[] = []
  for await (const chunk of decodeLz4(Readable.from(pieces, { objectMode: false }))) plain.push(chunk)
  return Buffer.concat(plain)
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))
}

describe('an LZ4 object of Vitess', () => {
  test.each([1, 2, 7, 1000])('is decoded from pieces of %d bytes', async (size) => {
    expect(String(await decode(...inPieces(VITESS_TEXT, size)))).toBe(TEXT)
    expect(await decode(...inPieces(VITESS_EMPTY, size))).toHaveLength(0)
  })

  test('of several frames, with skippable ones between, is read as one', async () => {
    const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
    expect(String(await decode(VITESS_TEXT, skippable, VITESS_EMPTY, VITESS_TEXT))).toBe(TEXT + TEXT)
  })

  test('is refused wherever it is cut off', async () => {
    for (let length = 0; length < VITESS_TEXT.length; length++) {
      await expect(decode(VITESS_TEXT.subarray(0, length))).rejects.toThrow(/LZ4/)
    }
  })

  test('never comes out as something else when a byte of it was flipped', async () => {
    for (let at = 0; at < VITESS_TEXT.length; at++) {
      const flipped = Buffer.from(VITESS_TEXT)
      flipped.writeUInt8(flipped.readUInt8(at) ^ 0x01, at)
      const plain = await decode(flipped).catch(() => undefined)
      expect([undefined, TEXT]).toContain(plain?.toString())
    }
  })

  test('and what is none are told apart', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
        await expect(decode(Buffer.from(bytes))).rejects.toThrow(/LZ4/)
      }),
    )
  })
})

describe.skipIf(!program)(
  `what the program lz4 writes is decoded${program ? '' : ' (skipped: it is not on PATH)'}`,
  () => {
    const plains = [
      Buffer.alloc(0),
      Buffer.from('x'),
      randomBytes(300_000),
      Buffer.alloc(9_000_000, 'a row, and '),
      mixed(),
    ]

    test.each(
      [[], ['-9'], ['-BD'], ['-BD', '-9', '-B4'], ['-BX', '-B5'], ['--no-frame-crc'], ['--content-size']].map(
        (options) => [options],
      ),
    )('with options %j', async (options) => {
      for (const plain of plains) {
        const stored = execFileSync('lz4', ['-q', '-c', ...options], { input: plain, maxBuffer: 64 * 1024 * 1024 })
        expect((await decode(...inPieces(stored, 70_000))).equals(plain)).toBe(true)
      }
    })

    function mixed(): Buffer {
      return Buffer.concat(
        Array.from({ length: 200 }, (_, at) => (at % 3 ? Buffer.alloc(at * 331, `row ${at}`) : randomBytes(at * 17))),
      )
    }
  },
)

describe('xxHash', () => {
  test.each([
    ['', 0x02cc5d05],
    ['abc', 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0xe2293b2f],
  ])('of %j is what its authors say', (text, expected) => {
    const hash = new XxHash32()
    hash.update(Buffer.from(text))
    expect(hash.digest()).toBe(expected)
  })

  test('does not depend on the pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const [whole, pieces] = [new XxHash32(), new XxHash32()]
        whole.update(Buffer.from(bytes))
        for (const piece of inPieces(Buffer.from(bytes), size)) pieces.update(piece)
        expect(pieces.digest()).toBe(whole.digest())
      }),
    )
  })
})

function commandThere(): boolean {
  try {
    execFileSync('lz4', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
