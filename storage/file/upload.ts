import { type FileHandle, lstat, opendir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { forAll } from '../for-all.ts'
import type { ObjectWriter, Upload } from '../object-store.ts'
import { writeWhole } from '../write-whole.ts'
import { DirectFile } from './direct-file.ts'
import { syncDirectory } from './durable-file.ts'
import { codeOf, type FileOperation, syncing, translated } from './errors.ts'
import { isVisible, temporaryNameOf } from './names.ts'
import { syncFiles, writeOut } from './sync-files.ts'
import { assertNameIn, writtenIsLost } from './upload-names.ts'
import { CachedFile, FileWriter, openForWriting } from './writer.ts'

/** Files renamed at once: enough to keep a network mount busy. */
const AT_ONCE = 64

export interface UploadPlace {
  /** The store's description. */
  readonly store: string
  readonly root: string
  /** Below the root; ends in `/`. */
  readonly directory: string
  readonly id: string
  /** As `directBlockOf` has it for the directory. */
  readonly block: number | undefined
  /** Proves that the store is the one that it was, and makes the directory where it is missing. */
  makeDirectory(): Promise<void>
}

/** Objects that are written as temporary files of one id in their directory, and get their names all together. */
export class FileUpload implements Upload {
  readonly id: string
  readonly #place: UploadPlace
  readonly #path: string
  readonly #open = new Set<FileHandle>()

  constructor(place: UploadPlace) {
    this.id = place.id
    this.#place = place
    this.#path = join(place.root, place.directory)
  }

  async open(name: string, from: number, signal?: AbortSignal): Promise<ObjectWriter> {
    const path = this.localPath(name)
    const operation = this.#operation('store', name)
    return await translated(operation, async () => {
      const { handle, block } = await openForWriting(path, this.#place)
      try {
        const { size } = await handle.stat()
        signal?.throwIfAborted()
        const kept = Math.min(size, from)
        if (kept < size) await handle.truncate(kept)
        this.#open.add(handle)
        const file = block === undefined ? new CachedFile(handle, kept) : await DirectFile.open(handle, kept, block)
        return new FileWriter(file, operation, () => this.#open.delete(handle))
      } catch (error) {
        this.#open.delete(handle)
        await handle.close()
        throw error
      }
    }).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : error
    })
  }

  async put(name: string, bytes: Uint8Array, crc?: number, signal?: AbortSignal): Promise<void> {
    await writeWhole(this, name, bytes, crc, signal)
  }

  localPath(name: string): string {
    assertNameIn(this.#place.directory, name)
    return join(this.#path, this.#temporaryOf(name))
  }

  async writeOut(): Promise<void> {
    const operation = this.#operation('write out')
    await syncing(operation, () => writeOut(this.#path, this.#open))
  }

  async commit(names: readonly string[]): Promise<void> {
    for (const name of names) assertNameIn(this.#place.directory, name)
    const operation = this.#operation('publish the objects of')
    await translated(operation, async () => {
      const visible = await this.#visibleNames()
      const done = names.filter((name) => visible.has(name))
      await forAll(done, AT_ONCE, (name) => this.#assertDone(name))
      const awaited = done.length === 0 ? names : names.filter((name) => !visible.has(name))
      await syncing(operation, () => syncFiles(this.#path, awaited, (name) => this.#temporaryOf(name)))
      await forAll(awaited, AT_ONCE, (name) => this.#publish(name))
      await syncDirectory(this.#path)
    })
  }

  async #visibleNames(): Promise<ReadonlySet<string>> {
    const names = new Set<string>()
    // Entry by entry: as a rule nearly all are temporary files, perhaps a hundred thousand, of which nothing is kept.
    for await (const { name } of await opendir(this.#path, { bufferSize: 1024 })) {
      if (isVisible(name, false)) names.add(name)
    }
    return names
  }

  /** An object that is visible was published by this upload when nothing of it is left to publish. */
  async #assertDone(name: string): Promise<void> {
    const { store, directory } = this.#place
    if (!(await this.#exists(this.#temporaryOf(name)))) return
    throw new TabletkeeperError(
      'Refused',
      `${store} has an object ${directory}${name} that this upload did not store`,
      {
        hint: 'Somebody else has written it: look whether two runs make the same backup.',
      },
    )
  }

  async #publish(name: string): Promise<void> {
    await translated(this.#operation('publish', name), async () => {
      try {
        await rename(this.localPath(name), join(this.#path, name))
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
        // NFS repeats a request whose answer was lost, and then finds what it did itself.
        if (!(await this.#exists(name))) throw this.#lost(name, error)
      }
    })
  }

  async #exists(entry: string): Promise<boolean> {
    try {
      await lstat(join(this.#path, entry))
      return true
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  #lost(name: string, cause: unknown): TabletkeeperError {
    const { store, directory } = this.#place
    const hint = 'Somebody removed it, or the mount is another one: look, then start the run again.'
    return writtenIsLost(store, directory + name, { cause, hint })
  }

  #temporaryOf(name: string): string {
    return temporaryNameOf(name, this.id)
  }

  #operation(doing: string, name = ''): FileOperation {
    return { store: this.#place.store, doing: `${doing} ${this.#place.directory}${name}` }
  }
}
