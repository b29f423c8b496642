/** Smaller buffers are those of small objects, each of its own size. */
const WORTH_KEEPING = 1024 * 1024

/** Milliseconds: memory that is new is slow. */
const KEPT_FOR = 10_000

/** Memory for the parts of all objects that are uploaded at once: a bound, and buffers that are used again. */
export class PartMemory {
  readonly #limit: number
  #used = 0
  /** Buffers that are on their way, and so will come back. */
  #sending = 0
  #free: Buffer[] = []
  #releasing: NodeJS.Timeout | undefined
  readonly #waiting: { readonly size: number; grant(): void }[] = []

  /** @param limit bytes, all together */
  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * A buffer of `size` bytes, as soon as there is room. While nothing is being sent, waiting would be for ever: then each object gets its
   * buffer, and the bound is exceeded by one part of each object that is open, at most.
   */
  async take(size: number): Promise<Buffer> {
    if (this.#waiting.length > 0 || !this.#hasRoom(size)) {
      await new Promise<void>((resolve) => this.#waiting.push({ size, grant: resolve }))
    } else {
      this.#used += size
    }
    // The last one, which may still be in the processor's cache.
    const found = this.#free.findLastIndex((buffer) => buffer.length === size)
    const [kept] = found < 0 ? [] : this.#free.splice(found, 1)
    if (kept !== undefined) return kept
    // Parts have grown: those of the old size are in the way.
    this.#free = this.#free.filter((buffer) => buffer.length >= size)
    return Buffer.allocUnsafeSlow(size)
  }

  /** Sends a buffer that was taken, which is given back when that has ended. */
  async send<T>(buffer: Buffer, action: () => Promise<T>): Promise<T> {
    this.#sending += 1
    let isReusable = false
    try {
      const result = await action()
      // After a failure something may still be reading from it.
      isReusable = buffer.length >= WORTH_KEEPING
      return result
    } finally {
      this.#sending -= 1
      if (isReusable) this.#keep(buffer)
      this.drop(buffer)
    }
  }

  /** Gives back a buffer that was taken and not sent. */
  drop(buffer: Buffer): void {
    this.#used -= buffer.length
    if (this.#used === 0) this.#releaseLater()
    for (let next = this.#waiting[0]; next !== undefined && this.#hasRoom(next.size); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#used += next.size
      next.grant()
    }
  }

  /** Objects of a size of their own leave buffers that nobody asks for again: the oldest go. */
  #keep(buffer: Buffer): void {
    this.#free.push(buffer)
    let bytes = this.#free.reduce((sum, { length }) => sum + length, 0)
    while (bytes > this.#limit) bytes -= this.#free.shift()?.length ?? bytes
  }

  /** Nothing is uploaded: the next object may begin at once, or the process does other things for days. */
  #releaseLater(): void {
    clearTimeout(this.#releasing)
    this.#releasing = setTimeout(() => {
      if (this.#used === 0) this.#free = []
    }, KEPT_FOR).unref()
  }

  #hasRoom(size: number): boolean {
    return this.#used + size <= this.#limit || this.#sending === 0
  }
}
