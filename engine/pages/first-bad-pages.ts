/** A page whose checksum was wrong on the tablet already; `file` is its index among the files. */
export interface BadPageOfFile {
  readonly file: number
  readonly page: number
}

/**
 * The first pages of many, by file and page and each once, whatever the order they are told in: frames of several files are copied at the
 * same time, and an object that is stored anew tells its pages again.
 */
export class FirstBadPages {
  readonly #most: number
  #pages: BadPageOfFile[] = []

  constructor(most: number) {
    this.#most = most
  }

  add(page: BadPageOfFile): void {
    this.#pages.push(page)
    // Now and then: sorting for each would take long.
    if (this.#pages.length >= 4 * this.#most) this.#pages = this.values()
  }

  values(): BadPageOfFile[] {
    return this.#pages
      .toSorted((a, b) => a.file - b.file || a.page - b.page)
      .filter(({ file, page }, at, all) => file !== all[at - 1]?.file || page !== all[at - 1]?.page)
      .slice(0, this.#most)
  }
}
