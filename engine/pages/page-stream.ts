import { badPagesOf, type PageFormat, pageFormatOf } from './page-check.ts'

/** How much of its beginning tells how a file's pages are checked. */
const START = 64 * 1024

/** Checks the pages of a file whose bytes come in pieces of any size. */
export class PageStream {
  readonly #name: string
  readonly #found: (page: number) => void
  /** Bytes that no check has seen yet. */
  #rest: Buffer[] = []
  #length = 0
  #format: PageFormat | 'unknown' | undefined = 'unknown'
  #page = 0

  /**
   * @param name of the file, as InnoDB knows it
   * @param found is told of each bad page's number
   */
  constructor(name: string, found: (page: number) => void) {
    this.#name = name
    this.#found = found
  }

  add(bytes: Buffer): void {
    if (this.#format === undefined) return
    this.#rest.push(bytes)
    this.#length += bytes.length
    if (this.#length >= START) this.#check('whole pages')
  }

  /** Checks what is left: a last page that is cut off is bad. */
  end(): void {
    this.#check('all')
  }

  #check(what: 'whole pages' | 'all'): void {
    const bytes = Buffer.concat(this.#rest)
    if (this.#format === 'unknown') this.#format = pageFormatOf(this.#name, bytes.subarray(0, START))
    const format = this.#format
    this.#rest = []
    this.#length = 0
    if (format === undefined) return
    const end = what === 'all' ? bytes.length : bytes.length - (bytes.length % format.pageSize)
    for (const page of badPagesOf(bytes.subarray(0, end), this.#page, format)) this.#found(page)
    this.#page += Math.ceil(end / format.pageSize)
    if (end < bytes.length) {
      this.#rest.push(bytes.subarray(end))
      this.#length = bytes.length - end
    }
  }
}
