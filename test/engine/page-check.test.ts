import { inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodeLz4Block } from '../../engine/frames/lz4-block.ts'
import { badPagesOf, pageFormatOf } from '../../engine/pages/page-check.ts'
import {
  badPagesOfAll,
  filesOfServer,
  pageOf,
  type ServerFile,
  type Tablespace,
  tableOf,
  tablespace,
  typesIn,
  writtenPages,
} from './sample-tablespaces.ts'

const A_SERVER_ON_A_BUSY_MACHINE = 180_000
const COMPRESSED = 'ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE'
const PAGE_COMPRESSED = 14
const HEADER = Array.from({ length: 48 }, (_, offset) => offset)

describe('the files of a server that was stopped cleanly', () => {
  let files: ServerFile[]

  beforeAll(async () => {
    files = await filesOfServer([
      {
        statements: [
          ...tableOf('dynamic_rows'),
          ...tableOf('redundant_rows', 'ROW_FORMAT=REDUNDANT'),
          ...[1, 2, 4, 8, 16].flatMap((size) => tableOf(`compressed_${size}`, `${COMPRESSED}=${size}`)),
          ...tableOf('page_zlib', "COMPRESSION='zlib'"),
          ...tableOf('page_lz4', "COMPRESSION='lz4'"),
          "CREATE TABLESPACE general ADD DATAFILE 'general.ibd'",
          ...tableOf('in_general', 'TABLESPACE general'),
          ...tableOf('in_system', 'TABLESPACE innodb_system'),
          "CREATE TABLESPACE general_4 ADD DATAFILE 'general_4.ibd' FILE_BLOCK_SIZE=4096",
          ...tableOf('in_general_4', `TABLESPACE general_4 ${COMPRESSED}=4`),
          "CREATE UNDO TABLESPACE undo_more ADD DATAFILE 'undo_more.ibu'",
          'DELETE FROM dynamic_rows WHERE id % 3 = 0',
          'DROP TABLE redundant_rows',
          ...tableOf('redundant_rows', 'ROW_FORMAT=REDUNDANT'),
          'CREATE TABLE elsewhere (id INT) ENGINE=MyISAM',
          'CREATE TABLE comma_separated (id INT NOT NULL) ENGINE=CSV',
        ],
      },
    ])
  }, A_SERVER_ON_A_BUSY_MACHINE)

  it('have no bad page, whatever its tables', () => {
    expect(badPagesOfAll(files)).toEqual([])
    expect(typesIn(tablespace(files, 'pages/page_zlib.ibd'))).toContain(PAGE_COMPRESSED)
    expect(typesIn(tablespace(files, 'pages/page_lz4.ibd'))).toContain(PAGE_COMPRESSED)
  })

  it('are checked if they are tablespaces, and only then', () => {
    const checked = files.filter((file) => pageFormatOf(file.name, file.bytes) !== undefined).map(({ name }) => name)
    expect(checked).toEqual(
      expect.arrayContaining(['ibdata1', 'mysql.ibd', 'undo_001', 'undo_more.ibu', 'general.ibd']),
    )
    const others = files.map(({ name }) => name).filter((name) => !checked.includes(name))
    expect(others.filter((name) => /\.ib[du]$|^ibdata|^undo/.test(name))).toEqual([])
    expect(others).toEqual(
      expect.arrayContaining(['ib_buffer_pool', 'pages/elsewhere.MYD', 'pages/comma_separated.CSV']),
    )
    expect(others.some((name) => name.startsWith('#innodb_redo/'))).toBe(true)
  })

  it('tell their page size', () => {
    for (const size of [1, 2, 4, 8, 16]) {
      const { format } = tablespace(files, `pages/compressed_${size}.ibd`)
      expect(format).toMatchObject({ pageSize: size * 1024, isCompressed: true })
    }
    expect(tablespace(files, 'general_4.ibd').format).toMatchObject({ pageSize: 4096, isCompressed: true })
    expect(tablespace(files, 'mysql.ibd').format).toMatchObject({ pageSize: 16_384, isCompressed: false })
  })

  it('may be checked in slices', () => {
    const { bytes, format } = tablespace(files, 'mysql.ibd')
    const damaged = Buffer.from(bytes)
    for (const page of [3, 700, 1024])
      damaged.fill('damage', page * format.pageSize + 100, (page + 1) * format.pageSize)
    const pages = bytes.length / format.pageSize
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: pages })), (cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), pages]
        const found = edges.slice(1).flatMap((to, index) => {
          const from = edges[index] ?? 0
          return badPagesOf(damaged.subarray(from * format.pageSize, to * format.pageSize), from, format)
        })
        expect(found).toEqual([3, 700, 1024])
      }),
      { numRuns: 20 },
    )
  })

  it.each([
    'pages/dynamic_rows.ibd',
    'pages/redundant_rows.ibd',
    'pages/compressed_1.ibd',
    'pages/compressed_4.ibd',
    'pages/compressed_8.ibd',
    'pages/compressed_16.ibd',
    'pages/page_zlib.ibd',
    'pages/page_lz4.ibd',
    'general.ibd',
    'mysql.ibd',
    'undo_001',
    'undo_more.ibu',
    'ibdata1',
  ])('show a flipped bit in any byte that counts, and its page: %s', (name) => {
    const of = tablespace(files, name)
    const { pageSize, doublewrite } = of.format
    const [copiesFrom, copiesTo] = doublewrite
    const anyPage = fc.nat(of.bytes.length / pageSize - 1).filter((page) => page < copiesFrom || page >= copiesTo)
    // Half of a new file is zeros, and the ends of a page have more to tell than its middle.
    const page = fc.oneof(anyPage, fc.constantFrom(...writtenPages(of)))
    const offset = fc.oneof(
      fc.nat(pageSize - 1),
      fc.nat(47),
      fc.nat(15).map((back) => pageSize - 1 - back),
    )
    fc.assert(
      fc.property(page, offset, fc.nat(7), (page, offset, bit) => {
        const whole = pageOf(of, page)
        const flipped = Buffer.from(whole)
        flipped.writeUInt8((flipped[offset] ?? 0) ^ (1 << bit), offset)
        fc.pre(isCovered(whole, offset, of) && !decompressesEqually(whole, flipped))
        expect(badPagesOf(flipped, page, of.format)).toEqual([page])
      }),
      { numRuns: 500 },
    )
  })

  it('show every flipped bit of a type: none makes a page look encrypted that is not', () => {
    for (const name of [
      'pages/dynamic_rows.ibd',
      'pages/compressed_4.ibd',
      'pages/page_zlib.ibd',
      'undo_001',
      'ibdata1',
    ]) {
      const of = tablespace(files, name)
      for (const page of writtenPages(of)) {
        const one = pageOf(of, page)
        const type = one.readUInt16BE(24)
        for (let bit = 0; bit < 16; bit++) {
          one.writeUInt16BE(type ^ (1 << bit), 24)
          expect(badPagesOf(one, page, of.format)).toEqual([page])
        }
      }
    }
  })

  it('show nothing in the bytes that no checksum covers', () => {
    const hidden = (of: Tablespace, page: number) =>
      HEADER.filter((offset) => {
        const one = pageOf(of, page)
        one.writeUInt8((one[offset] ?? 0) ^ 0x10, offset)
        return badPagesOf(one, page, of.format).length === 0
      })
    expect(hidden(tablespace(files, 'pages/dynamic_rows.ibd'), 4)).toEqual(HEADER.slice(26, 38))
    const lsnAndFlushLsn = [...HEADER.slice(16, 24), ...HEADER.slice(26, 34)]
    expect(hidden(tablespace(files, 'pages/compressed_4.ibd'), 4)).toEqual(lsnAndFlushLsn)
  })

  it('may have pages of zeros, and such as hold only what page compression left behind', () => {
    const { bytes, format } = tablespace(files, 'pages/dynamic_rows.ibd')
    const emptied = Buffer.from(bytes)
    emptied.fill(0, 5 * format.pageSize, 7 * format.pageSize)
    emptied.fill(7, 5 * format.pageSize + 26, 5 * format.pageSize + 34)
    expect(badPagesOf(emptied, 0, format)).toEqual([])
    emptied.writeUInt8(1, 6 * format.pageSize + 9000)
    expect(badPagesOf(emptied, 0, format)).toEqual([6])
    const compressed = tablespace(files, 'pages/compressed_4.ibd')
    const page = Buffer.alloc(compressed.format.pageSize)
    expect(badPagesOf(page, 9, compressed.format)).toEqual([])
    page.writeUInt8(1, 30)
    expect(badPagesOf(page, 9, compressed.format)).toEqual([9])
  })

  it.each(['pages/dynamic_rows.ibd', 'pages/compressed_8.ibd', 'pages/page_zlib.ibd', 'undo_001', 'ibdata1'])(
    'show a page that is in the place of another: %s',
    (name) => {
      const { bytes, format } = tablespace(files, name)
      const moved = Buffer.from(bytes)
      bytes.copy(moved, 3 * format.pageSize, 4 * format.pageSize, 5 * format.pageSize)
      expect(badPagesOf(moved, 0, format)).toEqual([3])
    },
  )

  it('show that the last page is cut off', () => {
    const { bytes, format } = tablespace(files, 'sys/sys_config.ibd')
    const pages = bytes.length / format.pageSize
    expect(badPagesOf(bytes.subarray(0, -1), 0, format)).toEqual([pages - 1])
    expect(badPagesOf(bytes.subarray(0, -format.pageSize + 1), 0, format)).toEqual([pages - 1])
    expect(badPagesOf(bytes.subarray(0, -format.pageSize), 0, format)).toEqual([])
  })

  it.each([
    'pages/dynamic_rows.ibd',
    'pages/compressed_1.ibd',
    'pages/compressed_8.ibd',
    'pages/page_zlib.ibd',
    'ibdata1',
  ])('show a damaged page 0 alone, also where it belies the page size: %s', (name) => {
    const { bytes, format } = tablespace(files, name)
    for (const flags of [0xffff_ffff, 0, 0x21 | (5 << 6), 0x21 | (4 << 1)]) {
      const damaged = Buffer.from(bytes)
      damaged.writeUInt32BE(flags, 54)
      if (damaged.equals(bytes)) continue
      const found = tablespace([{ name, bytes: damaged }], name)
      expect(found.format).toEqual({ ...format, mayBeEncrypted: name !== 'ibdata1' })
      expect(badPagesOf(damaged, 0, found.format)).toEqual([0])
    }
  })

  it('have pages of 16 KiB where nothing else can be told', () => {
    const nonsense = Buffer.alloc(200_000, 0xff)
    const { format } = tablespace([{ name: 'pages/nonsense.ibd', bytes: nonsense }], 'pages/nonsense.ibd')
    expect(format).toMatchObject({ pageSize: 16_384, isCompressed: false })
    expect(badPagesOf(nonsense, 0, format)).toHaveLength(13)
    expect(pageFormatOf('pages/empty.ibd', new Uint8Array(0))).toMatchObject({ pageSize: 16_384 })
  })

  it('hold stale copies of other pages where older servers kept their doublewrite buffer', () => {
    const { bytes, format } = tablespace(files, 'ibdata1')
    const stale = Buffer.from(bytes)
    const compressed = tablespace(files, 'pages/compressed_8.ibd').bytes.subarray(0, 8192)
    for (const page of [63, 64, 130, 191, 192]) {
      stale.fill(0, page * format.pageSize, (page + 1) * format.pageSize)
      compressed.copy(stale, page * format.pageSize)
    }
    expect(badPagesOf(stale, 0, format)).toEqual([63, 192])
  })

  it('may have checksums that a big-endian machine wrote before 5.7', () => {
    const plain = pageOf(tablespace(files, 'pages/dynamic_rows.ibd'), 4)
    const end = plain.length - 8
    const checksum = (bigEndianCrc(plain, 4, 26) ^ bigEndianCrc(plain, 38, end)) >>> 0
    plain.writeUInt32BE(checksum, 0)
    plain.writeUInt32BE(checksum, end)
    expectSoundUntilChanged(plain, tablespace(files, 'pages/dynamic_rows.ibd'))

    const compressed = pageOf(tablespace(files, 'pages/compressed_4.ibd'), 4)
    const parts = bigEndianCrc(compressed, 4, 16) ^ bigEndianCrc(compressed, 24, 26)
    compressed.writeUInt32BE((parts ^ bigEndianCrc(compressed, 34, compressed.length)) >>> 0, 0)
    expectSoundUntilChanged(compressed, tablespace(files, 'pages/compressed_4.ibd'))
  })

  it('may have pages of 4.0, which have no checksum, and pages that never got a number', () => {
    const of = tablespace(files, 'pages/dynamic_rows.ibd')
    const old = pageOf(of, 4)
    old.writeUInt32BE(0, 0)
    old.copy(old, old.length - 8, 16, 24)
    expect(badPagesOf(old, 4, of.format)).toEqual([])
    old.writeUInt8(old.readUInt8(23) ^ 1, 23)
    expect(badPagesOf(old, 4, of.format)).toEqual([4])

    const system = tablespace(files, 'ibdata1')
    expect(badPagesOf(pageOf(system, 0), 7, system.format)).toEqual([])
    expect(badPagesOf(pageOf(system, 1), 7, system.format)).toEqual([7])
  })
})

/** Whether a change of this byte is damage that can be seen, as docs of `hasCrc` say. */
function isCovered(page: Buffer, offset: number, { format }: Tablespace): boolean {
  const isEmpty = page.every((byte) => byte === 0)
  const isFlushLsn = offset >= 26 && offset < 34
  if (format.isCompressed) return !(offset >= 16 && offset < 24) && (isEmpty || !isFlushLsn)
  if (isEmpty) return !isFlushLsn
  if (page.readUInt16BE(24) !== PAGE_COMPRESSED) return offset < 26 || offset >= 38
  // Its bytes 26 to 31 tell how it is compressed; behind the compressed bytes is a hole.
  return offset < 32 || (offset >= 38 && offset < 38 + page.readUInt16BE(32))
}

/** A repeated string may be copied from here or from there. */
function decompressesEqually(whole: Buffer, flipped: Buffer): boolean {
  if (whole.readUInt16BE(24) !== PAGE_COMPRESSED || !whole.subarray(0, 38).equals(flipped.subarray(0, 38))) return false
  const [before, after] = [whole, flipped].map((page) => {
    const data = page.subarray(38, 38 + page.readUInt16BE(32))
    try {
      if (page[27] === 1) return inflateSync(data)
      const output = Buffer.alloc(page.length - 38)
      return output.subarray(0, decodeLz4Block(data, output, 0))
    } catch {
      return undefined
    }
  })
  return before !== undefined && after !== undefined && before.equals(after)
}

/** CRC-32C bit by bit, over whole words of the page in reverse (ut_crc32_legacy_big_endian). */
function bigEndianCrc(page: Buffer, from: number, to: number): number {
  let crc = -1
  const add = (at: number): void => {
    crc ^= page.readUInt8(at)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  for (let at = from; at < to; ) {
    const isWord = at % 8 === 0 && at + 8 <= to
    if (isWord) for (let byte = 7; byte >= 0; byte--) add(at + byte)
    else add(at)
    at += isWord ? 8 : 1
  }
  return ~crc
}

function expectSoundUntilChanged(page: Buffer, { format }: Tablespace): void {
  expect(badPagesOf(page, 4, format)).toEqual([])
  for (const offset of [0, 8, 25, 40, 1000]) {
    const changed = Buffer.from(page)
    changed.writeUInt8(changed.readUInt8(offset) ^ 4, offset)
    expect(badPagesOf(changed, 4, format)).toEqual([4])
  }
}
