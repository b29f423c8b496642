import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, readdir, readFile, rm, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { TabletkeeperError } from '../../model/errors.ts'
import { directBlockOf } from '../../mysql/system/direct-io.ts'
import { type Capabilities, isRefused, type TellsCapabilities } from '../capabilities.ts'
import { forAll } from '../for-all.ts'
import { assertKey, assertPrefix, assertUpload } from '../object-key.ts'
import type { ByteRange, Listing, ObjectInfo, ObjectKey, ObjectStore, PutOptions, Repository } from '../object-store.ts'
import { BodyFailure, makeDirectories, writeDurably } from './durable-file.ts'
import { type FileOperation, storageError, translated } from './errors.ts'
import { finalNameOf, isWriteId, newWriteId, temporaryNameOf } from './names.ts'
import { FileReader } from './reader.ts'
import { readRepository, writeMarker } from './repository.ts'
import {
  describeFile,
  directoriesBelow,
  entriesBelow,
  isMissing,
  keysBelow,
  settleRemoval,
  splitPrefix,
  visibleEntries,
} from './tree.ts'
import { FileUpload } from './upload.ts'

/** Files asked for at once, so that a slow mount is not waited for once each. */
const AT_ONCE = 32

/** Objects as files below a directory, which as a rule is a network mount that several hosts share. */
export class FileStore implements ObjectStore, TellsCapabilities {
  readonly description: string
  readonly #root: string
  /** The repository that was there when last looked; another one, or none, is a mount that came or went. */
  #known: string | undefined

  constructor(root: string) {
    this.#root = resolve(root)
    this.description = `file:${this.#root}`
  }

  async repository(): Promise<Repository> {
    const known = this.#known
    const found = await translated(this.#operation('look for backups'), () => readRepository(this.#root))
    const id = found.state === 'ready' ? found.id : null
    if (known !== undefined && id !== known) {
      throw new TabletkeeperError(
        'StorageUnavailable',
        `${this.description} is not the repository that it was (${known}), but ${id ?? 'none'}`,
        {
          hint: 'Look at the mount: it is gone, or something else is mounted there.',
        },
      )
    }
    this.#known = id ?? this.#known
    return found
  }

  async put(key: ObjectKey, body: Buffer | Readable, options: PutOptions = {}): Promise<number> {
    // Until it is read, a body that fails has nobody else who listens.
    if (body instanceof Readable) body.on('error', () => {})
    try {
      assertKey(key)
      await this.#makeReady()
      return await writeDurably(this.#root, this.#pathOf(key), body, options, () => this.#makeReady())
    } catch (error) {
      if (body instanceof Readable) body.destroy()
      throw error instanceof BodyFailure ? error.cause : storageError(error, this.#operation(`store ${key}`))
    }
  }

  async get(key: ObjectKey, range?: ByteRange): Promise<Readable> {
    assertKey(key)
    const operation = this.#operation(`read ${key}`)
    return await translated(operation, async () => {
      const handle = await this.#open(key)
      try {
        const stats = await handle.stat()
        if (!stats.isFile()) throw await this.#absent(key)
        assertRange(key, stats.size, range)
        return new FileReader(handle, range ?? { start: 0, end: stats.size - 1 }, operation)
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    assertKey(key)
    return await translated(this.#operation(`look at ${key}`), async () => {
      const found = await describeFile(this.#root, key)
      if (found === undefined) await this.#assertReady()
      return found
    })
  }

  async list(prefix: string, { delimiter }: { readonly delimiter?: '/' } = {}): Promise<Listing> {
    assertPrefix(prefix)
    const { directory, start } = splitPrefix(prefix)
    return await translated(this.#operation(`list ${prefix}`), async () => {
      const entries = delimiter
        ? (await visibleEntries(this.#root, directory)).filter(({ name }) => name.startsWith(start))
        : []
      const keys = delimiter
        ? entries.filter((entry) => entry.isFile()).map(({ name }) => directory + name)
        : await keysBelow(this.#root, directory, start)
      const prefixes = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${directory}${name}/`)
      const objects = await forAll(keys.sort(), AT_ONCE, (key) => describeFile(this.#root, key))
      // Asked last: what was found, or not found, was so while the repository was there.
      await this.#assertReady()
      return { objects: objects.filter((found) => found !== undefined), prefixes: prefixes.sort() }
    })
  }

  async delete(keys: readonly ObjectKey[]): Promise<void> {
    keys.forEach(assertKey)
    await translated(this.#operation('remove objects'), async () => {
      await this.#assertReady()
      await forAll(keys, AT_ONCE, (key) => this.#unlink(key))
      await settleRemoval(
        this.#root,
        keys.map((key) => dirname(this.#pathOf(key))),
      )
    })
  }

  async abortUploads(prefix: string): Promise<void> {
    assertPrefix(prefix)
    await translated(this.#operation(`remove unfinished writes to ${prefix}`), async () => {
      await this.#assertReady()
      const { directory, start } = splitPrefix(prefix)
      const below = await directoriesBelow(this.#root, directory, start)
      for (const searched of [...below, directory]) {
        const unfinished = (await entriesBelow(this.#root, searched)).filter(({ name }) => {
          const final = finalNameOf(name)
          return final !== undefined && (searched + final).startsWith(prefix)
        })
        await forAll(unfinished, AT_ONCE, ({ name }) => rm(join(this.#root, searched, name), { force: true }))
      }
      await settleRemoval(
        this.#root,
        [...below, directory].map((path) => join(this.#root, path)),
      )
    })
  }

  async upload(directory: string, id = newWriteId()): Promise<FileUpload> {
    assertUpload(directory, id, isWriteId)
    const makeDirectory = async () => {
      await this.#makeReady()
      await makeDirectories(this.#root, join(this.#root, directory))
    }
    return await translated(this.#operation(`upload to ${directory}`), async () => {
      await makeDirectory()
      // Who gives up another upload to the directory removes it while it is empty; it is made again when something is written.
      const block = await directBlockOf(join(this.#root, directory)).catch(() => directBlockOf(this.#root))
      return new FileUpload({ store: this.description, root: this.#root, directory, id, block, makeDirectory })
    })
  }

  localPath(key: ObjectKey): string {
    assertKey(key)
    return this.#pathOf(key)
  }

  async probe(): Promise<void> {
    await this.#withProbe(async () => {})
  }

  async capabilities(): Promise<Capabilities> {
    const isKept = await this.#withProbe(async (path, written) => {
      const range = { start: 1, end: written.length - 1 }
      const part = new FileReader(await open(path, 'r'), range, this.#operation('read a part of a probe'))
      if (!written.subarray(1).equals(await buffer(part))) throw this.#givesBackOthers()
      return await isRefused(() => writeDurably(this.#root, path, written, { ifAbsent: true }))
    })
    // Who could not remove could not write either: what is written gets its name last.
    return {
      conditionalCreate: isKept ? 'enforced' : 'ignored',
      rangedReads: true,
      listing: true,
      removal: 'allowed',
      unfinishedUploads: null,
    }
  }

  /** Proves the round trip with a file that is gone afterwards, and does something with it meanwhile. */
  async #withProbe<T>(look: (path: string, written: Buffer) => Promise<T>): Promise<T> {
    const path = join(this.#root, temporaryNameOf('probe'))
    const written = randomBytes(64)
    return await translated(this.#operation('write, read and list a probe'), async () => {
      await this.repository()
      try {
        // Without a marker: a probe does not make a repository of what may be a missing mount.
        await writeDurably(this.#root, path, written)
        const listed = (await readdir(this.#root)).includes(basename(path))
        if (!listed || !written.equals(await readFile(path))) throw this.#givesBackOthers()
        return await look(path, written)
      } finally {
        await rm(path, { force: true })
      }
    })
  }

  #givesBackOthers(): TabletkeeperError {
    return new TabletkeeperError(
      'StorageUnavailable',
      `${this.description} does not give back what was just written to it`,
    )
  }

  #operation(doing: string): FileOperation {
    return { store: this.description, doing }
  }

  #pathOf(key: ObjectKey): string {
    return join(this.#root, key)
  }

  /** Before anything is written: whatever stands there gets a marker, so that it is known from a missing mount. */
  async #makeReady(): Promise<void> {
    const repository = await this.repository()
    if (repository.state === 'ready' && repository.id !== null) return
    await writeMarker(this.#root)
    await this.repository()
  }

  async #assertReady(): Promise<void> {
    if ((await this.repository()).state === 'ready') return
    throw new TabletkeeperError(
      'StorageUnavailable',
      `${this.description} is empty and was never written to: is it mounted?`,
      {
        hint: 'Mount it. If it is meant to be new, the first backup makes it a repository.',
      },
    )
  }

  async #absent(key: ObjectKey): Promise<TabletkeeperError> {
    await this.#assertReady()
    return new TabletkeeperError('NotFound', `${this.description} has no object ${key}`)
  }

  async #open(key: ObjectKey): Promise<FileHandle> {
    try {
      return await open(this.#pathOf(key), 'r')
    } catch (error) {
      throw isMissing(error) ? await this.#absent(key) : error
    }
  }

  async #unlink(key: ObjectKey): Promise<void> {
    try {
      await unlink(this.#pathOf(key))
    } catch (error) {
      if (!isMissing(error) && (await describeFile(this.#root, key)) !== undefined) throw error
    }
  }
}

function assertRange(key: ObjectKey, size: number, range: ByteRange | undefined): void {
  if (range === undefined) return
  const { start, end } = range
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end)) {
    throw new TabletkeeperError('InvalidInput', `bytes ${start} to ${end} are no range of ${key}`)
  }
  if (end >= size) {
    throw new TabletkeeperError(
      'CorruptBackup',
      `${key} has ${size} bytes, and bytes ${start} to ${end} were asked for`,
    )
  }
}
