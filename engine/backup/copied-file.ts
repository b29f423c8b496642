import type { FileBase } from '../../model/manifest.ts'

/** A file that storage has, as the MANIFEST records it. */
export interface CopiedFile {
  readonly base: FileBase
  readonly name: string
  /** CRC-32 of the stored bytes, 8 hex digits. */
  readonly hash: string
  /** SHA-256 over the SHA-256 of each frame and of the seek table, 64 hex digits. */
  readonly segmentHash: string
  /** Plain bytes. */
  readonly size: number
  /** Stored bytes. */
  readonly stored: number
}
