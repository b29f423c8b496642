import { TabletkeeperError } from '../../model/errors.ts'
import { MANIFEST } from '../../storage/catalogue/backup-key.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { inParallel } from '../pool/in-parallel.ts'
import type { CopiedFile } from './copied-file.ts'

const ASKED_AT_ONCE = 16

/**
 * Asks the storage itself whether it has every object of a backup at its size, and no others, before a MANIFEST says so. It goes by the
 * listing, and asks for an object that is missing there by its name: a listing may be late.
 * @throws CorruptBackup naming the first object that is missing, of another size, or not the backup's; the errors of the store
 */
export async function checkStored(
  store: ObjectStore,
  directory: string,
  files: readonly Pick<CopiedFile, 'stored'>[],
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const sizes = new Map(await storedSizes(store, directory))
  const unlisted = Array.from(files.keys(), (index) => `${directory}${index}`).filter((key) => !sizes.has(key))
  await inParallel(unlisted, ASKED_AT_ONCE, signal, async (key) => {
    const found = await store.head(key)
    if (found !== undefined) sizes.set(key, found.size)
  })
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

/** Stored sizes of all objects below a directory, by key. */
export async function storedSizes(store: ObjectStore, directory: string): Promise<ReadonlyMap<string, number>> {
  const { objects } = await store.list(directory)
  return new Map(objects.map(({ key, size }) => [key, size]))
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
