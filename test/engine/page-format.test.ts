import { describe, expect, it } from 'vitest'
import { badPagesOf } from '../../engine/pages/page-check.ts'
import { hasCrc } from '../../engine/pages/page-checksum.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import {
  badPagesOfAll,
  filesOfServer,
  mysqlWithKeyring,
  pageOf,
  type Tablespace,
  tableOf,
  tablespace,
  typesIn,
  writtenPages,
} from './sample-tablespaces.ts'

const A_SERVER_ON_A_BUSY_MACHINE = 180_000
const COMPRESSED = 'ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE'
const ENCRYPTED_PAGES = [15, 16, 17]

describe('the files of a server', () => {
  it.each([
    ['4k', tableOf('compressed_1', `${COMPRESSED}=1`)],
    ['32k', tableOf('page_zlib', "COMPRESSION='zlib'")],
    ['64k', tableOf('page_lz4', "COMPRESSION='lz4'")],
  ])(
    'have no bad page with pages of %s',
    async (size, more) => {
      const statements = [...tableOf('dynamic_rows'), ...more]
      const files = await filesOfServer([{ statements }], { settings: { innodb_page_size: size } })
      expect(badPagesOfAll(files)).toEqual([])
      for (const name of ['ibdata1', 'mysql.ibd', 'undo_001', 'pages/dynamic_rows.ibd']) {
        const of = tablespace(files, name)
        expect(of.format.pageSize).toBe(Number.parseInt(size, 10) * 1024)
        expectDamageSeen(of)
      }
    },
    A_SERVER_ON_A_BUSY_MACHINE,
  )

  it(
    'go on numbering the pages in a further file of the system tablespace',
    async () => {
      const statements = [1, 2, 3, 4, 5].flatMap((table) => tableOf(`in_system_${table}`, 'TABLESPACE innodb_system'))
      const files = await filesOfServer([{ statements }], {
        settings: { innodb_page_size: '8k', innodb_data_file_path: 'ibdata1:5M;ibdata2:5M;ibdata3:5M:autoextend' },
      })
      expect(badPagesOfAll(files)).toEqual([])
      const further = tablespace(files, 'ibdata2')
      expect(further.format).toMatchObject({ pageSize: 8192, firstNumber: 640, doublewrite: [0, 0] })
      expect(writtenPages(further).length).toBeGreaterThan(100)
      expectDamageSeen(further)
      const zeros = { name: 'ibdata3', bytes: Buffer.alloc(5 * 1024 * 1024) }
      expect(badPagesOfAll([zeros])).toEqual([])
    },
    A_SERVER_ON_A_BUSY_MACHINE,
  )

  it(
    'have encrypted pages, of which the place is all that can be checked',
    async (test) => {
      const mysql = await mysqlWithKeyring(await temporaryDirectory())
      if (!mysql) return test.skip()
      const statements = [
        ...tableOf('encrypted', "ENCRYPTION='Y'"),
        ...tableOf('encrypted_compressed', `ENCRYPTION='Y' ${COMPRESSED}=4`),
        ...tableOf('encrypted_page_zlib', "ENCRYPTION='Y' COMPRESSION='zlib'"),
        "ALTER TABLESPACE mysql ENCRYPTION='Y'",
      ]
      const files = await filesOfServer([{ statements }], { mysql, settings: { innodb_undo_log_encrypt: 'ON' } })
      expect(badPagesOfAll(files)).toEqual([])
      const names = ['encrypted', 'encrypted_compressed', 'encrypted_page_zlib'].map((name) => `pages/${name}.ibd`)
      const seen = [...names, 'mysql.ibd', 'undo_001'].map((name) => typesIn(tablespace(files, name)))
      expect(seen.every((types) => ENCRYPTED_PAGES.some((type) => types.has(type)))).toBe(true)
      expect(ENCRYPTED_PAGES.every((type) => seen.some((types) => types.has(type)))).toBe(true)

      const { bytes, format } = tablespace(files, 'pages/encrypted.ibd')
      const moved = Buffer.from(bytes)
      bytes.copy(moved, 3 * format.pageSize, 4 * format.pageSize, 5 * format.pageSize)
      expect(badPagesOf(moved, 0, format)).toEqual([3])
    },
    A_SERVER_ON_A_BUSY_MACHINE,
  )

  it(
    'may have the checksums that 5.6 wrote, or none',
    async () => {
      const run = (algorithm: string) => ({
        options: [`--innodb-checksum-algorithm=${algorithm}`],
        statements: [
          ...tableOf(`plain_${algorithm}`),
          ...tableOf(`compressed_${algorithm}`, `${COMPRESSED}=4`),
          ...tableOf(`page_zlib_${algorithm}`, "COMPRESSION='zlib'"),
        ],
      })
      const files = await filesOfServer([run('innodb'), run('none')])
      expect(badPagesOfAll(files)).toEqual([])

      for (const name of ['plain_innodb', 'compressed_innodb', 'page_zlib_innodb']) {
        const old = tablespace(files, `pages/${name}.ibd`)
        const { pageSize, isCompressed } = old.format
        const pages = writtenPages(old)
        expect(pages.length).toBeGreaterThan(50)
        expect(pages.filter((page) => hasCrc(old.bytes, page * pageSize, pageSize, isCompressed))).toEqual([])
        expectDamageSeen(old)
      }
      const unchecked = tablespace(files, 'pages/plain_none.ibd')
      for (const page of writtenPages(unchecked)) expect(pageOf(unchecked, page).readUInt32BE(0)).toBe(0xdeadbeef)
      const changed = pageOf(unchecked, 4)
      changed.writeUInt8(changed.readUInt8(1000) ^ 1, 1000)
      expect(badPagesOf(changed, 4, unchecked.format)).toEqual([])
      changed.writeUInt8(changed.readUInt8(0) ^ 1, 0)
      expect(badPagesOf(changed, 4, unchecked.format)).toEqual([4])
    },
    A_SERVER_ON_A_BUSY_MACHINE,
  )
})

/** Flips one bit in the midst of every page that was written. */
function expectDamageSeen(of: Tablespace): void {
  const pages = writtenPages(of)
  const damaged = Buffer.from(of.bytes)
  for (const page of pages) {
    const at = page * of.format.pageSize + 40 + (page % 50)
    damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << (page % 8)), at)
  }
  expect(badPagesOf(damaged, 0, of.format)).toEqual(pages)
}
