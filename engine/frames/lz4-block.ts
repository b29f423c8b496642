/** Lengths of 15 go on in the bytes that follow. */
const GOES_ON = 15
const SHORTEST_MATCH = 4

/**
 * Decodes one LZ4 block (github.com/lz4/lz4, doc/lz4_Block_format.md) into `output` from `start` on; matches may reach back to 0.
 * @returns where the decoded bytes end
 * @throws Error when the block is not sound or does not fit
 */
export function decodeLz4Block(block: Buffer, output: Buffer, start: number): number {
  let at = 0
  let end = start

  const lengthFrom = (nibble: number): number => {
    let length = nibble
    if (nibble < GOES_ON) return length
    for (;;) {
      const byte = block[at++]
      if (byte === undefined) throw new Error('an LZ4 block ends within a length')
      length += byte
      if (byte !== 255) return length
    }
  }

  for (;;) {
    const token = block[at++]
    if (token === undefined) throw new Error('an LZ4 block ends without literals')
    const literals = lengthFrom(token >> 4)
    if (at + literals > block.length || end + literals > output.length)
      throw new Error('literals of an LZ4 block do not fit')
    block.copy(output, end, at, at + literals)
    at += literals
    end += literals
    if (at === block.length) return end
    if (at + 2 > block.length) throw new Error('an LZ4 block ends within an offset')
    const offset = block.readUInt16LE(at)
    at += 2
    const match = lengthFrom(token & 15) + SHORTEST_MATCH
    if (offset === 0 || offset > end || end + match > output.length)
      throw new Error('a match of an LZ4 block is out of bounds')
    repeat(output, end, offset, match)
    end += match
  }
}

/** Copies `length` bytes from `offset` before `end` to `end`; where they overlap, what was just written is repeated. */
function repeat(output: Buffer, end: number, offset: number, length: number): void {
  let done = 0
  while (done < length) {
    const piece = Math.min(offset + done, length - done)
    output.copyWithin(end + done, end - offset, end - offset + piece)
    done += piece
  }
}
