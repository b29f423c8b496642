import type { Progress } from '../model/runs.ts'

/** The rate is that of these last milliseconds: long enough to be steady, short enough to show that something stands still. */
const WINDOW = 5_000
const INTERVAL = 1_000

/** @param isSettling whether work is under way of which progress does not tell: nothing need move for as long as it takes */
type Tell = (progress: Progress, isSettling: boolean) => void

/** Counts what a copy has done, and tells it once a second until it is disposed of. */
export class ProgressMeter implements Disposable {
  readonly #bytesTotal: number
  readonly #filesTotal: number
  readonly #tell: Tell
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  readonly #samples: { readonly at: number; readonly bytes: number }[]
  #bytes = 0
  #files = 0
  #settling = 0

  constructor(sizes: readonly number[], tell: Tell, now: () => number = () => performance.now()) {
    this.#bytesTotal = sizes.reduce((sum, size) => sum + size, 0)
    this.#filesTotal = sizes.length
    this.#tell = tell
    this.#now = now
    this.#samples = [{ at: now(), bytes: 0 }]
    this.#timer = setInterval(() => this.#tell(this.read(), this.#settling > 0), INTERVAL)
  }

  addBytes(bytes: number): void {
    this.#bytes += bytes
  }

  addFile(): void {
    this.#files += 1
  }

  /** Bytes that an earlier attempt has copied: done, but not by this one's rate. */
  skipBytes(bytes: number): void {
    this.#bytes += bytes
    this.#samples.forEach((sample, index) => {
      this.#samples[index] = { at: sample.at, bytes: sample.bytes + bytes }
    })
  }

  skipFile(size: number): void {
    this.skipBytes(size)
    this.addFile()
  }

  /** Does what waits for a store to finish what it has taken already, which may put terabytes together before it answers. */
  async settling<T>(work: () => Promise<T>): Promise<T> {
    this.#settling += 1
    try {
      return await work()
    } finally {
      this.#settling -= 1
    }
  }

  /** What is done by now; takes a sample for the rate. */
  read(): Progress {
    const at = this.#now()
    this.#samples.push({ at, bytes: this.#bytes })
    while ((this.#samples[1]?.at ?? at) <= at - WINDOW) this.#samples.shift()
    const [oldest] = this.#samples
    const seconds = oldest === undefined ? 0 : (at - oldest.at) / 1000
    const bytesPerSecond = oldest === undefined || seconds <= 0 ? 0 : Math.round((this.#bytes - oldest.bytes) / seconds)
    return {
      bytesDone: this.#bytes,
      bytesTotal: this.#bytesTotal,
      filesDone: this.#files,
      filesTotal: this.#filesTotal,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? Math.ceil((this.#bytesTotal - this.#bytes) / bytesPerSecond) : null,
    }
  }

  /** Tells the last state and falls silent. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#tell(this.read(), this.#settling > 0)
  }
}
