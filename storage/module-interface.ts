// What a user's own store is written with: docs/storage-module.md.
export { type ErrorOptions, type ErrorType, TabletkeeperError } from '../model/errors.ts'
export type { MakeObjectStore } from './module.ts'
export { assertKey, assertPrefix } from './object-key.ts'
export type {
  ByteRange,
  Listing,
  ObjectInfo,
  ObjectKey,
  ObjectStore,
  ObjectWriter,
  PutOptions,
  Repository,
  Upload,
} from './object-store.ts'
