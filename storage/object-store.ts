import type { Readable } from 'node:stream'

/** A name in a store, as `object-key.ts` accepts it: parts joined by `/`; relative to the configured root. */
export type ObjectKey = string

export interface ObjectInfo {
  readonly key: ObjectKey
  /** Stored bytes. */
  readonly size: number
  /** When the store last changed it. */
  readonly modified: Date
}

export interface Listing {
  /** Objects, sorted by key. */
  readonly objects: readonly ObjectInfo[]
  /**
   * With a delimiter: distinct `…/` prefixes directly below, sorted. A store that can tell also names those below which nothing but
   * an unfinished write is left, so that somebody can clean up.
   */
  readonly prefixes: readonly string[]
}

/** A part of an object: from byte `start` to byte `end`, both included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * What stands at the configured root. `new`: it is there and nothing was ever stored in it, or a mount is missing: nobody can tell,
 * so it is no answer to "which backups are there". The id of a ready repository is null until tabletkeeper writes to one of Vitess.
 */
export type Repository = { readonly state: 'ready'; readonly id: string | null } | { readonly state: 'new' }

/**
 * Where backups are kept. Every implementation guarantees the same and passes one conformance suite (`conformance/conformance.ts`):
 *
 * - an object appears under its key whole and durable, or not at all; a removal is durable when the call resolves;
 * - calls may be made at the same time, from several hosts too: of two writes to a key one wins whole;
 * - no call retries for ever: failures are `StorageUnavailable` (may go away; Temporal retries), `StorageDenied`, `StorageFull`,
 *   `InvalidConfig` (no such bucket or root, or it holds something else), `NotFound` (no such object) or `InvalidInput` (a bad key);
 * - "nothing there" is only ever said by a ready repository: while it is new, all but `put`, `probe` and `repository` fail with
 *   `StorageUnavailable`, and so does everything once the repository is another than this object has seen before;
 * - names that start with a dot are the store's own and the file system's: no key holds one, no listing shows one.
 */
export interface ObjectStore {
  /** What it is, for people: `file:/mnt/backups`. */
  readonly description: string
  /** @throws InvalidConfig when the root does not exist, or holds files that are no repository */
  repository(): Promise<Repository>
  /**
   * Stores a whole object, replacing what was there; the first one makes a new repository ready. It takes charge of `body`, which it
   * reads to its end or destroys. A body that fails leaves nothing behind, and its error is thrown as it is.
   * @returns its stored size in bytes
   * @throws Refused when `ifAbsent` and the key exists; the signal's reason when aborted
   */
  put(key: ObjectKey, body: Buffer | Readable, options?: PutOptions): Promise<number>
  /**
   * Opens an object, or a range of it. The caller reads the stream to its end or destroys it. The stream gives every byte that was
   * asked for, or fails with one of the errors above.
   * @throws NotFound; CorruptBackup when the range is not wholly within the object
   */
  get(key: ObjectKey, range?: ByteRange): Promise<Readable>
  /** The object's description, or undefined when it does not exist. */
  head(key: ObjectKey): Promise<ObjectInfo | undefined>
  /** Everything whose key starts with `prefix` (a plain string prefix); with `delimiter` only one level. */
  list(prefix: string, options?: { readonly delimiter?: '/' }): Promise<Listing>
  /** Removes objects by exact key; those that do not exist are no error. */
  delete(keys: readonly ObjectKey[]): Promise<void>
  /**
   * Removes what writes that ended without an end left under `prefix` (a plain string prefix): temporary files and empty
   * directories, multipart uploads. A write that is still at work there fails.
   */
  abortUploads(prefix: string): Promise<void>
  /**
   * Begins to store objects of one directory that all become visible together, or goes on with what an earlier process began under
   * `id`. As `put` does, it makes a new repository ready. What is never committed is removed by `abortUploads`.
   * @param directory ends in `/`
   * @throws InvalidInput when `id` is none that an upload of this kind of store has
   */
  upload(directory: string, id?: string): Promise<Upload>
  /** The local file that has an object's bytes, for readers on other threads; undefined where objects are no files. */
  localPath(key: ObjectKey): string | undefined
  /** Proves by a round trip that the store can be written, read and listed; leaves no more than one reused probe object. */
  probe(): Promise<void>
}

export interface PutOptions {
  /** Fail with `Refused` instead of replacing. */
  readonly ifAbsent?: boolean
  readonly signal?: AbortSignal
}

/**
 * Objects on their way into one directory. Nobody sees one that is not whole; where all of them can appear together, by `commit`, they
 * do. What was written outlives the process that wrote it,
 * not the host: after a restart of the host, begin a new upload.
 */
export interface Upload {
  /** Goes on with this upload from another process, by `upload(directory, id)`. */
  readonly id: string
  /**
   * Begins to write the object `name` of the directory, or goes on with it: no more than the first `from` bytes that were written
   * under that name are kept (`kept` says how many), what is beyond is dropped; 0 begins anew. One writer at a time for each name.
   * @param signal when it is aborted, nothing is dropped any more: who gave up a call that hung may have opened the object again since
   * @throws InvalidInput when no object of the directory can be called so; the signal's reason when aborted
   */
  open(name: string, from: number, signal?: AbortSignal): Promise<ObjectWriter>
  /**
   * Writes the object `name` whole, anew: as `open`, `write`, `finish` and `close` do. `bytes` must stay as they are until it resolves.
   * @param crc as `ObjectWriter.write` has it
   * @param signal when it is aborted, what hangs fails and nothing is sent any more, where an object would become visible by that. A store
   *   whose objects become visible by `commit` only may ignore it
   * @throws the signal's reason when aborted
   */
  put(name: string, bytes: Uint8Array, crc?: number, signal?: AbortSignal): Promise<void>
  /**
   * A local file that becomes the object `name`, for writers on other threads who write it whole instead of by `open`, with mode
   * `FILE_MODE`; undefined where objects are no files.
   */
  localPath(name: string): string | undefined
  /**
   * Makes the store write out what it was given so far, where it does not at once, so that `commit` has little left to wait for. It
   * promises nothing.
   */
  writeOut(): Promise<void>
  /**
   * Makes the objects `names` durable, then visible. It looks at the whole directory: give it many names at once. Those that are
   * visible already are done, so that a commit that failed or was cut off can be repeated.
   * @throws Refused when an object of one of the names was stored by somebody else, as far as the store can tell;
   *   StorageUnavailable, which no retry mends, when what was written for one is gone
   */
  commit(names: readonly string[]): Promise<void>
}

export interface ObjectWriter {
  /**
   * How many bytes of the object, from its beginning, outlive this process; grows while it is written. After `open` it is where the
   * next byte belongs: what `open` was asked for, or less, wherever the store cuts its objects.
   */
  readonly kept: number
  /**
   * Adds to the end. When it resolves `bytes` may be used for something else. Wait for one write before the next; after one that failed,
   * open the object again.
   * @param crc CRC-32 of `bytes`, as zlib has it, where the caller knows it: a store that sends or checks one need not read them again,
   *   and finds what was damaged since
   */
  write(bytes: Uint8Array, crc?: number): Promise<void>
  /** The object is whole, and all of it is kept when this resolves. It becomes visible by `commit` at the latest. */
  finish(): Promise<void>
  /**
   * Ends the writing, in any case; done again it does nothing. An object that was not finished can be opened again.
   * @throws what tells that some of what was kept is lost
   */
  close(): Promise<void>
}
