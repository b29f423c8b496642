import { TabletkeeperError } from '../../model/errors.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

/** S3 takes no larger part, and nobody copies a larger range in one call. */
const LARGEST_SEGMENT = 5 * GIB
/** Numbers of parts that are kept for segments. */
const MOST_SEGMENTS = 1024
/** So that an object of a few dozen MiB goes over several connections. More would be waste: see `PartPlan`. */
const MOST_SMALL = 8

/** What a store takes, as the configuration says it. */
export interface PartLimits {
  /** Bytes of the first parts. */
  readonly partSize: number
  /** Parts of one object. */
  readonly maxParts: number
  /** Whether all parts of an object but the last must have the same size. */
  readonly equalParts: boolean
}

/**
 * Which part of an object has which size. Nobody knows an object's size before it is whole, and a part is in memory while it is sent, so
 * that parts cannot grow as far as 5 TiB in 10,000 parts would need (550 MiB each, on the average). So:
 *
 * - the first eight parts have `partSize`, the others twice that: 8 and 16 MiB. A request takes two to three milliseconds of CPU time,
 *   whatever its size, which is as much as copying 8 MiB and giving them to the kernel together take;
 * - the last 1,024 numbers are for *segments* of up to 5 GiB. A segment is an object of its own, which is uploaded in parts of 16 MiB and
 *   then copied by the store into the part.
 *
 * With the defaults: 8 × 8 MiB + 8,968 × 16 MiB = 140.2 GiB, and 1,024 × 5 GiB = 5 TiB on top, with never more than 16 MiB of one
 * object in one buffer. Stores that want equal parts get no segments: `partSize` × `maxParts` is their largest object (78 GiB).
 */
export class PartPlan {
  readonly #partSize: number
  readonly #maxParts: number
  readonly #equal: boolean
  /** The last part of `partSize`. */
  readonly #lastSmall: number
  /** The last part that is sent as it is. */
  readonly #lastDirect: number

  constructor({ partSize, maxParts, equalParts }: PartLimits) {
    this.#partSize = partSize
    this.#maxParts = maxParts
    this.#equal = equalParts
    this.#lastDirect = equalParts ? maxParts : maxParts - Math.min(MOST_SEGMENTS, Math.floor(maxParts / 2))
    this.#lastSmall = equalParts ? this.#lastDirect : Math.min(MOST_SMALL, Math.floor(this.#lastDirect / 4))
  }

  /** Of the parts that are in memory. */
  get largest(): number {
    return this.#equal ? this.#partSize : 2 * this.#partSize
  }

  /** Bytes of the largest object. */
  get capacity(): number {
    const direct = (this.#lastSmall + 2 * (this.#lastDirect - this.#lastSmall)) * this.#partSize
    return direct + (this.#maxParts - this.#lastDirect) * this.segmentSize
  }

  get segmentSize(): number {
    return Math.min(LARGEST_SEGMENT, this.#maxParts * this.largest)
  }

  isSegment(number: number): boolean {
    return number > this.#lastDirect
  }

  /**
   * Bytes of part `number` (1 is the first), unless it is the last of the object.
   * @throws InvalidConfig when an object has no room for so many
   */
  sizeOf(number: number, key: string): number {
    if (number > this.#maxParts) {
      throw new TabletkeeperError(
        'InvalidConfig',
        `${key} is larger than ${this.capacity} bytes, which is all that ${this.#maxParts} parts hold`,
        { hint: 'Set storage.partSize to a larger size.' },
      )
    }
    if (this.isSegment(number)) return this.segmentSize
    return number > this.#lastSmall ? 2 * this.#partSize : this.#partSize
  }
}

/** Where a piece of an object goes. */
export interface Piece {
  /** The part of the object. */
  readonly number: number
  /** The part of the segment that becomes part `number`; undefined when the piece itself is that part. */
  readonly inner: number | undefined
  /** Whether the segment is full with it. */
  readonly fills: boolean
}

/** Cuts an object into pieces, one after another, as a plan has it. */
export class PieceCursor {
  readonly #plan: PartPlan
  readonly #key: string
  #number: number
  #inner: number
  /** Bytes of the segment before the next piece. */
  #before: number

  /** @param segment of the part `number`, parts and bytes that are there already */
  constructor(plan: PartPlan, key: string, number = 1, segment = { parts: 0, bytes: 0 }) {
    this.#plan = plan
    this.#key = key
    this.#number = number
    this.#inner = segment.parts
    this.#before = segment.bytes
  }

  /**
   * Bytes of the next piece, unless it is the last.
   * @throws InvalidConfig when the object has no room for more
   */
  get size(): number {
    const size = this.#plan.sizeOf(this.#number, this.#key)
    return this.#plan.isSegment(this.#number) ? Math.min(this.#plan.largest, size - this.#before) : size
  }

  /** Goes on to the next piece; the one before it has `size` bytes. */
  next(size: number): Piece {
    const number = this.#number
    if (!this.#plan.isSegment(number)) {
      this.#number += 1
      return { number, inner: undefined, fills: false }
    }
    this.#inner += 1
    this.#before += size
    const piece = { number, inner: this.#inner, fills: this.#before === this.#plan.segmentSize }
    if (piece.fills) {
      this.#number += 1
      this.#inner = 0
      this.#before = 0
    }
    return piece
  }
}
