import { hash } from 'node:crypto'
import { cloneAsSelected, type FileClone } from '../engine/backup/snapshot.ts'
import type { DataFile } from '../mysql/data/data-directory.ts'

/** Nanoseconds. Times of files are as coarse as the kernel's ticks: of what was written just now the next write may have the same. */
const AT_REST = 500_000_000n

/**
 * Clones of files that were made while mysqld still ran. Such a clone is that of the stopped server where its file has not been written
 * to since: of most tables it is so, and then mysqld need not be down for them.
 */
export class ClonesAhead {
  /** What the files that were cloned were like. Digests: there may be a hundred thousand. */
  readonly #cloned = new Set<string>()

  /**
   * Clones the files at rest.
   * @param before the time, in nanoseconds of the epoch, before the files were selected
   * @throws Refused, StorageFull (`cloneFiles`); the signal's reason
   */
  async make(files: readonly FileClone<DataFile>[], before: bigint, signal: AbortSignal): Promise<void> {
    const atRest = files.filter(({ file }) => file.mtimeNs + AT_REST < before)
    for (const file of await cloneAsSelected(atRest, signal)) this.#cloned.add(digestOf(file))
  }

  /** Whether there is a clone of a file as it is described. */
  has(file: DataFile): boolean {
    return this.#cloned.has(digestOf(file))
  }
}

function digestOf({ path, size, mtimeNs, inode }: DataFile): string {
  return hash('sha256', `${path}\0${size}\0${mtimeNs}\0${inode}`, 'binary')
}
