import { TabletkeeperError } from '../model/errors.ts'
import { MANIFEST } from '../storage/backup-key.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { CopiedFile } from './copied-file.ts'

/**
 * Asks the storage itself whether it has every object of a backup at its size, and no others, before a MANIFEST says so.
 * @throws CorruptBackup naming the first object that is missing, of another size, or not the backup's
 */
export async function checkStored(store: ObjectStore, directory: string, files: readonly CopiedFile[]): Promise<void> {
  const sizes = await storedSizes(store, directory)
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
