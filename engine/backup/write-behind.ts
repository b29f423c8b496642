/** Bytes that may be on their way to a disk, twice: more would fill the page cache, and make the end of a copy wait for minutes. */
const WINDOW = 1024 * 1024 * 1024

/**
 * Keeps what was written and is not on its disk yet within two windows: when one is full it is written out while the next one fills, and
 * whoever fills that one too waits. So the last wait, for all to be durable, is short, and a disk that stands still is noticed.
 */
export class WriteBehind {
  readonly #writeOut: () => Promise<void>
  readonly #window: number
  #bytes = 0
  #writing: Promise<void> | undefined

  /** @param writeOut makes all that was written so far durable, or as much as can be had */
  constructor(writeOut: () => Promise<void>, window: number = WINDOW) {
    this.#writeOut = writeOut
    this.#window = window
  }

  /** Told of bytes after they were written; waits when the disk is too far behind. @throws the failure of writing out, from then on */
  async wrote(bytes: number): Promise<void> {
    this.#bytes += bytes
    while (this.#bytes >= this.#window) {
      if (this.#writing === undefined) {
        this.#bytes = 0
        this.#writing = this.#writeOut()
        // Thrown by all who wait, and by `settle`.
        this.#writing.catch(() => {})
      } else {
        await this.settle()
      }
    }
  }

  /** Waits for what is being written out. @throws its failure, each time */
  async settle(): Promise<void> {
    const writing = this.#writing
    await writing
    if (this.#writing === writing) this.#writing = undefined
  }
}
