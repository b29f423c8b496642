/** Bytes of one frame, stored and plain. */
export interface FrameSizes {
  readonly stored: number
  readonly plain: number
}

/** Sizes of the frames of one object, in their order: as numbers, since an object for each takes three times as much. */
export class FrameSizeList implements Iterable<FrameSizes> {
  readonly #numbers: number[] = []

  get length(): number {
    return this.#numbers.length / 2
  }

  add({ stored, plain }: FrameSizes): void {
    this.#numbers.push(stored, plain)
  }

  *[Symbol.iterator](): Generator<FrameSizes> {
    for (let at = 0; at < this.#numbers.length; at += 2) {
      yield { stored: this.#numbers[at] ?? 0, plain: this.#numbers[at + 1] ?? 0 }
    }
  }
}
