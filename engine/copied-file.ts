import type { FileBase } from '../model/manifest.ts'

/** A file that storage has, as the MANIFEST records it. */
export interface CopiedFile {
  readonly base: FileBase
  readonly name: string
  /** CRC-32 of the stored bytes, 8 hex digits. */
  readonly hash: string
  /** Plain bytes. */
  readonly size: number
  /** Stored bytes. */
  readonly stored: number
}
