import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/**
 * Plain bytes of a frame, but for the last of an object: large enough that compression loses nothing by beginning anew, small enough that
 * some fit into memory for each core.
 */
export const FRAME_SIZE = 8 * 1024 * 1024

/** Stored bytes: one of zeros has a few hundred at most. */
const LARGEST_ZERO_FRAME = 1024

/** How many frames an object of `size` plain bytes has: an empty one has an empty frame, so that any decoder finds one. */
export function framesOf(size: number, frameSize: number = FRAME_SIZE): number {
  return Math.max(1, Math.ceil(size / frameSize))
}

/**
 * One zstd frame with a content checksum. The result is the only view of its ArrayBuffer, which can be transferred. Its bytes depend on
 * Node's zstd and the level alone (`COMPRESSOR`).
 */
export function compressFrame(plain: Buffer, level: number): Buffer {
  return zstdCompressSync(plain, {
    // One call suffices for the worst case. With the default of 16 KiB the output grows in rounds, which takes 60 % longer.
    chunkSize: plain.length + Math.ceil(plain.length / 256) + 64 * 1024,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
}

/**
 * The plain bytes of one frame.
 * @param size how many they are
 * @throws the decoder's error when the frame is damaged, cut short or larger
 */
export function decompressFrame(stored: Uint8Array, size: number): Buffer {
  return zstdDecompressSync(stored, { chunkSize: size + 64 * 1024, maxOutputLength: size + 1 })
}

/** Names what made the bytes of a frame: a copy can be continued byte for byte only by the same. */
export function compressorOf(level: number): string {
  return `zstd ${process.versions['zstd'] ?? ''} of Node ${process.versions.node}, level ${level}, frames of ${FRAME_SIZE}`
}

const zeros = Buffer.alloc(256 * 1024)
const zeroFrames = new Map<string, Buffer>()

/** Whether all bytes are zero; `bytes` are no more than 256 KiB. */
export function isZero(bytes: Buffer): boolean {
  return bytes.compare(zeros, 0, bytes.length) === 0
}

/** The frame of `length` zeros, compressed once. The caller may keep and transfer it. */
export function zeroFrame(length: number, level: number): Buffer {
  const known = knownZeroFrame(length, level)
  const copy = Buffer.allocUnsafeSlow(known.length)
  known.copy(copy)
  return copy
}

function knownZeroFrame(length: number, level: number): Buffer {
  const key = `${length}/${level}`
  const known = zeroFrames.get(key) ?? compressFrame(Buffer.alloc(length), level)
  // Only the full length comes again; the last frame of a file rarely does.
  if (length === FRAME_SIZE) zeroFrames.set(key, known)
  return known
}

/** Whether a frame may be one of nothing but zeros: it is smaller than any other of its size then. */
export function mayBeZeros(frame: { readonly stored: number }): boolean {
  return frame.stored < LARGEST_ZERO_FRAME
}
