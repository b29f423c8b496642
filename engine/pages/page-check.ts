import { hasCrc, hasOldChecksum, isUnchecked, PAGE, TRAILER } from './page-checksum.ts'
import { decompressedPage, PAGE_COMPRESSED } from './page-compression.ts'

/** How to check the pages of one tablespace's file. It may be sent to other threads. */
export interface PageFormat extends Layout {
  /** The number that the file's first page bears, which is not 0 in a further file of the system tablespace; undefined where nothing tells. */
  readonly firstNumber: number | undefined
  /** Only then is a page taken for encrypted. mysqld keeps the tablespace's flag until the last page is decrypted. */
  readonly mayBeEncrypted: boolean
  /** From this page on, and before the other, are copies of other pages: servers before 8.0.20 had their doublewrite buffer there. */
  readonly doublewrite: readonly [from: number, to: number]
}

interface Layout {
  /** In bytes, in the file. */
  readonly pageSize: number
  /** ROW_FORMAT=COMPRESSED, whose pages are smaller in the file than in memory. */
  readonly isCompressed: boolean
}

const SYSTEM_TABLESPACE = /^ibdata\d+$/
const FIRST_SYSTEM_FILE = /^ibdata0*1$/
const TABLESPACE = /\.ib[du]$|^undo_\d+$/

/** FSP_SPACE_FLAGS: in the header of a tablespace, which follows that of page 0. */
const SPACE_FLAGS = PAGE.data + 16
const ENCRYPTED_SPACE = 1 << 13
/** FIL_PAGE_ENCRYPTED, FIL_PAGE_COMPRESSED_AND_ENCRYPTED, FIL_PAGE_ENCRYPTED_RTREE. */
const ENCRYPTED_PAGES = [15, 16, 17]

const KIB = 1024
const DEFAULT_LAYOUT: Layout = { pageSize: 16 * KIB, isCompressed: false }
const LAYOUTS: readonly Layout[] = [
  DEFAULT_LAYOUT,
  ...[4, 8, 32, 64].map((size) => ({ pageSize: size * KIB, isCompressed: false })),
  ...[8, 4, 2, 1, 16].map((size) => ({ pageSize: size * KIB, isCompressed: true })),
]
const NO_PAGES = [0, 0] as const
const START = 64 * KIB
const ZEROS = Buffer.alloc(64 * KIB)

/**
 * How to check the file `name` (as in `DataFile.name`), whose first bytes are `start`: 64 KiB, or all where it has less. The tablespace's
 * flags in page 0 tell (fsp_flags_is_valid in storage/innobase/include/fsp0fsp.ic), unless a damaged page 0 belies them: then what fits
 * another of the first pages, else 16 KiB.
 * @returns undefined for files that are no tablespace of InnoDB
 */
export function pageFormatOf(name: string, start: Uint8Array): PageFormat | undefined {
  const isSystem = SYSTEM_TABLESPACE.test(name)
  if (!isSystem && !TABLESPACE.test(name)) return undefined
  const first = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, START))
  const flags = first.length >= SPACE_FLAGS + 4 ? first.readUInt32BE(SPACE_FLAGS) : 0
  const claimed = claimedLayout(flags)
  const candidates = claimed ? [claimed, ...LAYOUTS] : LAYOUTS
  const layout = candidates.find((candidate) => pagesIn(first, candidate).some(isProof)) ?? claimed ?? DEFAULT_LAYOUT
  const pages = pagesIn(first, layout)
  const firstNumber = !isSystem || FIRST_SYSTEM_FILE.test(name) ? 0 : agreedFirstNumber(pages)
  return {
    ...layout,
    firstNumber,
    mayBeEncrypted: !isSystem && ((flags & ENCRYPTED_SPACE) !== 0 || !pages.slice(0, 1).every(isProof)),
    doublewrite: isSystem && firstNumber === 0 ? doublewriteOf(layout) : NO_PAGES,
  }
}

/**
 * The numbers, counted within the file, of the pages in `bytes` that are damaged: whose checksum mysqld would not take, or that are in
 * another page's place, which mysqld takes for damage as well. Pages all zero are sound: nobody has written them. Of encrypted pages only
 * the place is checked; the bytes of page-compressed ones are decompressed, which takes twenty times as long.
 * @param firstPage the number of the page that `bytes` start with
 * @returns in rising order; a last page that is cut off is damaged
 */
export function badPagesOf(bytes: Buffer, firstPage: number, format: PageFormat): number[] {
  const { pageSize, doublewrite } = format
  const [copiesFrom, copiesTo] = doublewrite
  const bad: number[] = []
  let page = firstPage
  for (let at = 0; at < bytes.length; at += pageSize, page++) {
    if (page >= copiesFrom && page < copiesTo) continue
    if (at + pageSize > bytes.length || !isSound(bytes, at, page, format)) bad.push(page)
  }
  return bad
}

function isSound(bytes: Buffer, at: number, page: number, format: PageFormat): boolean {
  const { pageSize, isCompressed } = format
  // Never written, or not any more: the only pages without a checksum.
  if (bytes.readInt32BE(at) === 0 && looksUnwritten(bytes, at, format)) return isUnwritten(bytes, at, format)
  if (!isInPlace(bytes, at, page, format)) return false
  return hasCrc(bytes, at, pageSize, isCompressed) || isSoundOtherwise(bytes.subarray(at, at + pageSize), format)
}

function isSoundOtherwise(page: Buffer, { isCompressed, mayBeEncrypted }: PageFormat): boolean {
  if (ENCRYPTED_PAGES.includes(page.readUInt16BE(PAGE.type))) return mayBeEncrypted
  const original = originalOf(page, isCompressed)
  return original !== undefined && (isUnchecked(original, isCompressed) || hasChecksum(original, isCompressed))
}

function hasChecksum(page: Buffer, isCompressed: boolean): boolean {
  return hasCrc(page, 0, page.length, isCompressed) || hasOldChecksum(page, isCompressed)
}

function originalOf(page: Buffer, isCompressed: boolean): Buffer | undefined {
  return !isCompressed && page.readUInt16BE(PAGE.type) === PAGE_COMPRESSED ? decompressedPage(page) : page
}

function looksUnwritten(bytes: Buffer, at: number, { pageSize, isCompressed }: Layout): boolean {
  const lsn = at + PAGE.lsn
  const noLsn = bytes.readInt32BE(lsn) === 0 && bytes.readInt32BE(lsn + 4) === 0
  return noLsn && (isCompressed || bytes.readInt32BE(at + pageSize - TRAILER) === 0)
}

/** What page compression keeps in the place of the flush LSN may stay behind in a page that is otherwise empty. */
function isUnwritten(bytes: Buffer, at: number, { pageSize, isCompressed }: Layout): boolean {
  if (isCompressed) return areZeros(bytes, at, at + pageSize)
  return areZeros(bytes, at, at + PAGE.flushLsn) && areZeros(bytes, at + PAGE.space, at + pageSize)
}

function areZeros(bytes: Buffer, from: number, to: number): boolean {
  return bytes.compare(ZEROS, 0, to - from, from, to) === 0
}

/**
 * As buf_page_io_complete (storage/innobase/buf/buf0buf.cc) compares it. The tablespace's number is not compared: free pages of an imported
 * tablespace keep their old one.
 */
function isInPlace(bytes: Buffer, at: number, page: number, { firstNumber }: PageFormat): boolean {
  const number = bytes.readUInt32BE(at + PAGE.number)
  if (firstNumber === undefined || number === firstNumber + page) return true
  return number === 0 && bytes.readInt32BE(at + PAGE.space) === 0
}

function claimedLayout(flags: number): Layout | undefined {
  const compressed = (flags >>> 1) & 15
  const logical = (flags >>> 6) & 15
  if (compressed > 5 || logical > 7 || logical === 1 || logical === 2) return undefined
  const ofServer = logical === 0 ? DEFAULT_LAYOUT.pageSize : 512 << logical
  return compressed === 0
    ? { pageSize: ofServer, isCompressed: false }
    : { pageSize: 512 << compressed, isCompressed: true }
}

interface Page {
  readonly bytes: Buffer
  readonly index: number
  readonly isCompressed: boolean
}

function pagesIn(bytes: Buffer, { pageSize, isCompressed }: Layout): Page[] {
  return Array.from({ length: Math.floor(bytes.length / pageSize) }, (_, index) => ({
    bytes: bytes.subarray(index * pageSize, (index + 1) * pageSize),
    index,
    isCompressed,
  }))
}

/** Whether the page's checksum proves that the layout is right. Zeros in its place may be sound, yet are also found within larger pages. */
function isProof({ bytes, isCompressed }: Page): boolean {
  if (bytes.readInt32BE(0) === 0) return false
  const original = originalOf(bytes, isCompressed)
  if (!original) return false
  return isUnchecked(original, isCompressed) ? !isCompressed : hasChecksum(original, isCompressed)
}

function agreedFirstNumber(pages: readonly Page[]): number | undefined {
  const numbers = pages.filter(isProof).map(({ bytes, index }) => bytes.readUInt32BE(PAGE.number) - index)
  return numbers.every((number) => number === numbers[0]) ? numbers[0] : undefined
}

/** The second and third extent, as innochecksum skips them: copies of compressed or encrypted pages have no checksum that fits there. */
function doublewriteOf({ pageSize }: Layout): PageFormat['doublewrite'] {
  const extent = Math.max(1024 * KIB, 64 * pageSize) / pageSize
  return [extent, 3 * extent]
}
