const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1
const STRIPE = 16

/** xxHash, 32 bits, seed 0, of bytes that come in pieces (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): the checksum of LZ4 frames. */
export class XxHash32 {
  readonly #lanes = new Int32Array([PRIME_1 + PRIME_2, PRIME_2, 0, -PRIME_1])
  readonly #rest = Buffer.alloc(STRIPE)
  #length = 0

  update(bytes: Buffer): void {
    let at = 0
    const waiting = this.#length % STRIPE
    this.#length += bytes.length
    if (waiting > 0) {
      at = bytes.copy(this.#rest, waiting)
      if (waiting + at < STRIPE) return
      this.#stripes(this.#rest, 0)
    }
    at = this.#stripes(bytes, at)
    bytes.copy(this.#rest, 0, at)
  }

  /** The hash as an unsigned number. */
  digest(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#lanes
    let hash = this.#length < STRIPE ? PRIME_5 : rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)
    hash = (hash + this.#length) | 0
    const rest = this.#rest.subarray(0, this.#length % STRIPE)
    let at = 0
    for (; at + 4 <= rest.length; at += 4) {
      hash = Math.imul(rotate(hash + Math.imul(rest.readInt32LE(at), PRIME_3), 17), PRIME_4)
    }
    for (const byte of rest.subarray(at)) {
      hash = Math.imul(rotate(hash + Math.imul(byte, PRIME_5), 11), PRIME_1)
    }
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  /** Takes in whole stripes from `at` on; returns where the last of them ends. */
  #stripes(bytes: Buffer, at: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let [a = 0, b = 0, c = 0, d = 0] = this.#lanes
    let from = at
    for (; from + STRIPE <= bytes.length; from += STRIPE) {
      a = round(a, view.getInt32(from, true))
      b = round(b, view.getInt32(from + 4, true))
      c = round(c, view.getInt32(from + 8, true))
      d = round(d, view.getInt32(from + 12, true))
    }
    this.#lanes.set([a, b, c, d])
    return from
  }
}

function round(lane: number, input: number): number {
  return Math.imul(rotate(lane + Math.imul(input, PRIME_2), 13), PRIME_1)
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
