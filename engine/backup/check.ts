import { TabletkeeperError } from '../../model/errors.ts'
import { MANIFEST } from '../../storage/catalogue/backup-key.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { inParallel } from '../pool/in-parallel.ts'
import type { CopiedFile } from './copied-file.ts'

const ASKED_AT_ONCE = 16

/**
 * Asks the storage itself whether it has every object of a backup at its size, and no others, before a MANIFEST says so.
 * @throws CorruptBackup naming the first object that is missing, of another size, or not the backup's; the errors of the store
 */
export async function checkStored(
  store: ObjectStore,
  directory: string,
  files: readonly Pick<CopiedFile, 'stored'>[],
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const sizes = await storedSizes(store, directory, files.length, signal)
  files.forEach(({ stored }, index) => {
    assertStored(sizes, `${directory}${index}`, stored)
  })
  const expected = new Set([...files.keys()].map((index) => `${directory}${index}`)).add(directory + MANIFEST)
  for (const key of sizes.keys()) {
    if (!expected.has(key)) {
      throw new TabletkeeperError(
        'CorruptBackup',
        `${key} is in ${store.description} and belongs to no file of the backup`,
      )
    }
  }
}

/**
 * Stored sizes of all objects below a directory, by key, as the store lists them. Those of a backup's objects that are missing there it is
 * asked for by their names: a listing may be late.
 * @param count of the backup's objects, which are called 0, 1, …
 * @throws the errors of the store; the signal's reason
 */
export async function storedSizes(
  store: ObjectStore,
  directory: string,
  count: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const { objects } = await store.list(directory)
  const sizes = new Map(objects.map(({ key, size }) => [key, size]))
  const unlisted = Array.from({ length: count }, (_, index) => `${directory}${index}`).filter((key) => !sizes.has(key))
  await inParallel(unlisted, ASKED_AT_ONCE, signal, async (key) => {
    const found = await store.head(key)
    if (found !== undefined) sizes.set(key, found.size)
  })
  return sizes
}

/**
 * The stored size of an object, which must be `expected` where that is known.
 * @throws CorruptBackup
 */
export function assertStored(sizes: ReadonlyMap<string, number>, key: string, expected: number | undefined): number {
  const size = sizes.get(key)
  if (size === undefined) throw new TabletkeeperError('CorruptBackup', `${key} is missing in storage`)
  if (expected !== undefined && size !== expected) {
    throw new TabletkeeperError('CorruptBackup', `${key} has ${size} bytes in storage instead of ${expected}`)
  }
  return size
}
