import { Transform, type TransformCallback } from 'node:stream'

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const RLE_BLOCK = 1
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const

/** What the walk through the format wants next: bytes to look at, bytes to pass over, or a cut after what it has seen. */
type Want = { readonly look: number } | { readonly skip: number } | 'cut'

/**
 * Cuts a stream of zstd frames into pieces of which none reaches from one frame into the next. Node's decompressor needs that: given more
 * than one frame in a piece, it stops after the first without a word (seen on 24.21, the one-shot calls too). Bytes that are no frames pass
 * as they are: to refuse them is the decompressor's part.
 */
export class ZstdFrames extends Transform {
  readonly #walk = walk()
  readonly #looked: number[] = []
  #want: Want | undefined

  constructor() {
    // Object mode: otherwise pieces that wait are joined again.
    super({ readableObjectMode: true, readableHighWaterMark: 1 })
    this.#want = this.#walk.next([]).value ?? undefined
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let from = 0
    let at = 0
    while (this.#want !== undefined) {
      if (this.#want === 'cut') {
        if (at > from) this.push(chunk.subarray(from, at))
        from = at
        this.#advance([])
      } else if ('look' in this.#want) {
        while (this.#looked.length < this.#want.look && at < chunk.length) this.#looked.push(chunk.readUInt8(at++))
        if (this.#looked.length < this.#want.look) break
        this.#advance(this.#looked.splice(0))
      } else {
        const step = Math.min(this.#want.skip, chunk.length - at)
        at += step
        if (step < this.#want.skip) {
          this.#want = { skip: this.#want.skip - step }
          break
        }
        this.#advance([])
      }
    }
    if (from < chunk.length) this.push(chunk.subarray(from))
    done()
  }

  #advance(looked: readonly number[]): void {
    this.#want = this.#walk.next(looked).value ?? undefined
  }
}

/** Frame after frame (RFC 8878, section 3.1); it ends at what is none. */
function* walk(): Generator<Want, undefined, readonly number[]> {
  for (;;) {
    const magic = littleEndian(yield { look: 4 })
    if (magic >>> 4 === SKIPPABLE >>> 4) yield { skip: littleEndian(yield { look: 4 }) }
    else if (magic === MAGIC) yield* walkFrame()
    else return undefined
    yield 'cut'
  }
}

function* walkFrame(): Generator<Want, void, readonly number[]> {
  const descriptor = littleEndian(yield { look: 1 })
  const singleSegment = (descriptor & 0x20) !== 0
  const hasChecksum = (descriptor & 0x04) !== 0
  const sizeCode = descriptor >> 6
  const windowBytes = singleSegment ? 0 : 1
  const sizeBytes = sizeCode === 0 && singleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeCode] ?? 0)
  yield { skip: windowBytes + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + sizeBytes }
  for (let last = false; !last; ) {
    const header = littleEndian(yield { look: 3 })
    last = (header & 1) === 1
    yield { skip: ((header >> 1) & 3) === RLE_BLOCK ? 1 : header >> 3 }
  }
  yield { skip: hasChecksum ? 4 : 0 }
}

function littleEndian(bytes: readonly number[]): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0)
}
