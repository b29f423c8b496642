import type { Readable } from 'node:stream'

/** A name in a store: parts joined by `/`, none empty, `.` or `..`; relative to the configured root. */
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
  /** With a delimiter: distinct `…/` prefixes directly below, sorted. */
  readonly prefixes: readonly string[]
}

/**
 * Where backups are kept. Every implementation guarantees the same and passes one conformance suite (`test/storage/conformance.ts`):
 *
 * - an object appears under its key whole and durable, or not at all;
 * - no call retries for ever: failures are `StorageUnavailable` (may go away; Temporal retries), `StorageDenied`, `StorageFull`,
 *   `InvalidConfig` (no such bucket or root) or `NotFound` (no such object);
 * - an empty listing is only ever returned by a store that is there and answered: a missing mount or bucket is an error.
 */
export interface ObjectStore {
  /** What it is, for people: `file:/mnt/backups`. */
  readonly description: string
  /**
   * Stores a whole object. A body that fails leaves nothing behind.
   * @returns its stored size in bytes
   * @throws `TabletkeeperError` `Refused` when `ifAbsent` and the key exists
   */
  put(key: ObjectKey, body: Buffer | Readable, options?: PutOptions): Promise<number>
  /** Reads an object, or bytes `start` to `end` (both inclusive) of it. */
  get(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<Readable>
  /** The object's description, or undefined when it does not exist. */
  head(key: ObjectKey): Promise<ObjectInfo | undefined>
  /** Everything whose key starts with `prefix` (a plain string prefix); with `delimiter` only one level. */
  list(prefix: string, options?: { readonly delimiter?: '/' }): Promise<Listing>
  /** Removes objects by exact key; those that do not exist are no error. */
  delete(keys: readonly ObjectKey[]): Promise<void>
  /** Removes what unfinished writes left under `prefix`: temporary files, multipart uploads. */
  abortUploads(prefix: string): Promise<void>
  /** Proves by a round trip that the store can be written, read and listed; leaves nothing but one reused probe object. */
  probe(): Promise<void>
}

export interface PutOptions {
  /** Fail with `Refused` instead of replacing. */
  readonly ifAbsent?: boolean
  readonly signal?: AbortSignal
}
