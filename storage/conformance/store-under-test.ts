import { buffer } from 'node:stream/consumers'
import { expect } from 'vitest'
import type { ErrorType } from '../../model/errors.ts'
import type { ObjectStore } from '../object-store.ts'

/** One root, new and empty, that the running test has for itself; each call of `open` is another process's view of it. */
export interface StoreUnderTest {
  /** Where objects of an upload become visible one by one, when each is finished, and not by `commit`. */
  readonly visibleAt?: 'finish'
  open(): ObjectStore
}

/** Called by each test; it registers its own clean-up with `onTestFinished`. */
export type MakeStore = () => Promise<StoreUnderTest>

export async function storeWith(make: MakeStore, keys: readonly string[] = []): Promise<ObjectStore> {
  const store = (await make()).open()
  for (const key of keys) await store.put(key, Buffer.from(key))
  return store
}

export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).objects.map(({ key }) => key)
}

export async function contentOf(store: ObjectStore, key: string): Promise<Buffer> {
  return await buffer(await store.get(key))
}

/** Matches a foreseen failure of a type. */
export function ofType(type: ErrorType): unknown {
  return expect.objectContaining({ type })
}
