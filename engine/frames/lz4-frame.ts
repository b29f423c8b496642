import { decodeLz4Block } from './lz4-block.ts'
import { XxHash32 } from './xxhash32.ts'

const MAGIC = 0x184d2204
const SKIPPABLE = 0x184d2a50
const RAW_BLOCK = 0x80000000
/** How far a block may refer back into those before it. */
const HISTORY = 64 * 1024

/**
 * Decodes LZ4 frames (github.com/lz4/lz4, doc/lz4_Frame_format.md), as Vitess writes them with `--compression-engine-name lz4`: one
 * after the other, block by block, so that memory does not depend on the size. Checksums of contents are checked, those of blocks are
 * not: they are covered twice.
 * @throws Error when the bytes are not whole, sound frames
 */
export async function* decodeLz4(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(source)
  for (let frames = 0; ; frames++) {
    const magic = await input.takeIfAny(4)
    if (magic === undefined && frames > 0) return
    const number = magic?.readUInt32LE() ?? 0
    if (number >>> 4 === SKIPPABLE >>> 4) await input.skip((await input.take(4)).readUInt32LE())
    else if (number === MAGIC) yield* decodeFrame(input)
    else throw new Error('not an LZ4 frame')
  }
}

async function* decodeFrame(input: Input): AsyncGenerator<Buffer> {
  const [flags = 0, descriptor = 0] = await input.take(2)
  const { version, blockChecksums, contentSize, contentChecksum, dictionary } = {
    version: flags >> 6,
    blockChecksums: (flags & 0x10) !== 0,
    contentSize: (flags & 0x08) !== 0,
    contentChecksum: (flags & 0x04) !== 0,
    dictionary: (flags & 0x01) !== 0,
  }
  const sizeCode = (descriptor >> 4) & 7
  if (version !== 1 || dictionary || sizeCode < 4) throw new Error('an LZ4 frame of a kind that is not supported')
  await input.skip((contentSize ? 8 : 0) + 1)
  const blockSize = 2 ** (2 * sizeCode + 8)
  const hash = new XxHash32()
  const output = Buffer.alloc(HISTORY + blockSize)
  let history = 0
  for (;;) {
    const word = (await input.take(4)).readUInt32LE()
    if (word === 0) break
    const length = word % RAW_BLOCK
    if (length > blockSize) throw new Error('a block of an LZ4 frame is too long')
    const block = await input.take(length)
    if (blockChecksums) await input.skip(4)
    const end = word >= RAW_BLOCK ? history + block.copy(output, history) : decodeLz4Block(block, output, history)
    const plain = Buffer.from(output.subarray(history, end))
    hash.update(plain)
    yield plain
    history = Math.min(HISTORY, end)
    output.copyWithin(0, end - history, end)
  }
  if (contentChecksum && (await input.take(4)).readUInt32LE() !== hash.digest())
    throw new Error('the checksum of an LZ4 frame is wrong')
}

/** A stream, taken in pieces of the sizes that the format calls for. */
class Input {
  readonly #source: AsyncIterator<Buffer>
  #buffered: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async take(length: number): Promise<Buffer> {
    const taken = await this.takeIfAny(length)
    if (taken === undefined && length > 0) throw new Error('an LZ4 frame ends early')
    return taken ?? Buffer.alloc(0)
  }

  /** As `take`, or undefined at the end of the stream. */
  async takeIfAny(length: number): Promise<Buffer | undefined> {
    const pieces = [this.#buffered]
    let have = this.#buffered.length
    while (have < length) {
      const next = await this.#source.next()
      if (next.done) break
      pieces.push(next.value)
      have += next.value.length
    }
    const all = pieces.length === 1 ? this.#buffered : Buffer.concat(pieces)
    if (have === 0) return undefined
    if (have < length) throw new Error('an LZ4 frame ends early')
    this.#buffered = all.subarray(length)
    return all.subarray(0, length)
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const piece = Math.min(left, HISTORY)
      await this.take(piece)
      left -= piece
    }
  }
}
