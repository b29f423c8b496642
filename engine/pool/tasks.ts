import type { PageFormat } from '../pages/page-check.ts'

/** What a worker thread does for one frame or for some small files, all of it at once. Numbers of bytes and offsets are in bytes. */
export interface Tasks {
  /** Reads, checks, compresses and digests one frame of an open file. */
  readonly compressFrame: {
    readonly task: CompressFrame
    readonly result: StoredFrame
  }
  /** The same for files of one frame each; stores those that have a target. */
  readonly compressFiles: {
    readonly task: { readonly files: readonly CompressFile[]; readonly level: number }
    readonly result: { readonly files: readonly StoredFile[] }
  }
  /** Reads, checks, decompresses and writes one frame into an open file. */
  readonly restoreFrame: {
    readonly task: RestoreFrame
    readonly result: Checked
  }
  /** The same for objects of one frame each. */
  readonly restoreFiles: {
    readonly task: { readonly files: readonly RestoreFile[] }
    readonly result: { readonly files: readonly CheckedFile[] }
  }
}

/** Throws when the copy was told to stop: another attempt may be at the same files by now. */
export type StopIfCancelled = () => void

export type TaskName = keyof Tasks
export type Task<Name extends TaskName> = Tasks[Name]['task']
export type Result<Name extends TaskName> = Tasks[Name]['result']

export interface CompressFrame {
  readonly descriptor: number
  /** For messages. */
  readonly path: string
  readonly offset: number
  readonly length: number
  /** Whether the file has holes, which need not be read. */
  readonly sparse: boolean
  /** Undefined: the file has no pages to check. */
  readonly pages: PageFormat | undefined
  readonly level: number
}

export interface Checksums {
  /** CRC-32 of stored bytes. */
  readonly crc: number
  /** SHA-256 of stored bytes. */
  readonly sha: Uint8Array
}

export interface StoredFrame extends Checksums {
  /** The frame, which belongs to whoever gets it. */
  readonly bytes: Uint8Array
  readonly badPages: readonly number[]
}

export interface CompressFile {
  /** As it must be, before and after it is read. */
  readonly source: { readonly path: string; readonly size: number; readonly mtimeNs: bigint; readonly inode: bigint }
  /** As InnoDB knows it, for the check of its pages. */
  readonly name: string
  /** Where the object is written; undefined: its bytes are wanted back. */
  readonly target: string | undefined
}

/** A whole object: one frame and the seek table. */
export interface StoredFile {
  readonly stored: number
  readonly frame: Checksums
  readonly frameLength: number
  readonly table: Checksums
  /** Undefined when it was written to its target. */
  readonly bytes: Uint8Array | undefined
  readonly badPages: readonly number[]
}

/** Where stored bytes come from: a local file, or memory. */
export type StoredBytes =
  | { readonly kind: 'file'; readonly path: string; readonly offset: number; readonly length: number }
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }

/** An open file that frames are written into. */
export interface OutputFile {
  readonly path: string
  readonly descriptor: number
  /** The same file opened with O_DIRECT, for writes that are multiples of `block` bytes. */
  readonly direct: { readonly descriptor: number; readonly block: number } | undefined
}

export interface RestoreFrame {
  readonly key: string
  readonly from: StoredBytes
  /** Plain bytes. */
  readonly length: number
  /** Undefined: the frame is only checked. */
  readonly to: (OutputFile & { readonly offset: number }) | undefined
  /** When its pages are checked: of which file, from which offset in it, and how, unless this is the frame that tells. */
  readonly pages:
    | { readonly name: string; readonly offset: number; readonly format: PageFormat | undefined }
    | undefined
}

export interface Checked extends Checksums {
  /** How the pages of the file are checked, as far as this frame tells. */
  readonly format: PageFormat | undefined
  readonly badPages: readonly number[]
}

export interface RestoreFile {
  readonly key: string
  readonly from: StoredBytes
  readonly stored: number
  readonly length: number
  /** Undefined: the object is only checked. */
  readonly to: string | undefined
  /** As InnoDB knows it, when its pages are checked. */
  readonly name: string | undefined
}

/** What the stored bytes of a whole object were. */
export interface CheckedFile {
  /** CRC-32 of the whole object, 8 hex digits. */
  readonly crc: string
  /** As `ObjectDigest` has it. */
  readonly hash: string
  readonly badPages: readonly number[]
}

/** An error as it crosses threads. */
export type TaskError =
  /** What is wrong is a file of the tablet's host. */
  | {
      readonly kind: 'local'
      readonly doing: 'read' | 'write'
      readonly path: string
      readonly code: string | undefined
      readonly message: string
    }
  /** What is wrong is the storage, which the worker read or wrote as files. */
  | {
      readonly kind: 'storage'
      readonly doing: 'read' | 'write'
      readonly path: string
      readonly code: string | undefined
      readonly message: string
    }
  /** A file is not what it was when it was selected. */
  | { readonly kind: 'changed'; readonly path: string }
  /** An object is not what the MANIFEST says. */
  | { readonly kind: 'corrupt'; readonly key: string; readonly what: string }
  /** A defect of the engine. */
  | { readonly kind: 'defect'; readonly message: string; readonly stack: string }

/** From the pool to a worker. */
export interface TaskMessage {
  readonly id: number
  readonly name: TaskName
  readonly task: Task<TaskName>
}

/** From a worker to the pool. */
export type TaskAnswer =
  | { readonly id: number; readonly ok: true; readonly result: Result<TaskName> }
  | { readonly id: number; readonly ok: false; readonly error: TaskError }
