import { Readable } from 'node:stream'

/** Few large pieces: many small ones would keep the garbage collector busy. */
const PIECE = 1024 * 1024

/** Memory of pieces that nobody else has. */
const ownMemory = new WeakSet<ArrayBufferLike>()

/**
 * Gives the memory of a piece of a stream back at once, when it came from a `SocketBody`; of any other nothing happens. Who reads much
 * does so when it is done with a piece: waiting for the garbage collector costs as much CPU time as the reading.
 */
export function releasePiece(piece: Buffer): void {
  const { buffer } = piece
  if (buffer instanceof ArrayBuffer && ownMemory.delete(buffer)) buffer.transfer(0)
}

/** The connection that a body comes by. */
export interface BodySource {
  /** There is room again: read on. */
  resume(): void
  /** The body is whole: the connection can be used for something else. */
  ended(): void
  /** Nobody wants the rest of the body. */
  abandon(): void
}

/**
 * The body of an HTTP answer of known length, read from the socket right into the memory that is handed out: nothing is copied on the
 * way. Whoever has the socket asks for `room` and tells what it `took`.
 */
export class SocketBody extends Readable {
  readonly #source: BodySource
  #piece: Buffer
  #filled = 0
  #left: number

  constructor(length: number, source: BodySource) {
    super({ highWaterMark: PIECE })
    this.#source = source
    this.#left = length
    this.#piece = this.#nextPiece()
    if (length === 0) this.#end()
  }

  /** Where the next bytes go; never more room than there are bytes to come. */
  room(): Buffer {
    return this.#filled === 0 ? this.#piece : this.#piece.subarray(this.#filled)
  }

  /**
   * `count` bytes were put into `room`.
   * @returns whether more is wanted at once
   */
  took(count: number): boolean {
    this.#filled += count
    this.#left -= count
    if (this.#filled < this.#piece.length) return true
    const piece = this.#piece
    this.#filled = 0
    this.#piece = this.#nextPiece()
    const wantsMore = this.push(piece)
    if (this.#left === 0) this.#end()
    return wantsMore
  }

  override _read(): void {
    if (this.#left > 0) this.#source.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#left > 0) this.#source.abandon()
    done(error)
  }

  #nextPiece(): Buffer {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, this.#left))
    ownMemory.add(piece.buffer)
    return piece
  }

  #end(): void {
    this.push(null)
    this.#source.ended()
  }
}
