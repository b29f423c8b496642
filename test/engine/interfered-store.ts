import type { Readable } from 'node:stream'
import { FileStore } from '../../storage/file/file.ts'
import type {
  ByteRange,
  Listing,
  ObjectInfo,
  ObjectKey,
  ObjectStore,
  ObjectWriter,
  PutOptions,
  Repository,
  Upload,
} from '../../storage/object-store.ts'
import { writeWhole } from '../../storage/write-whole.ts'

/** What happens at the calls of an engine to its store, each before it is carried out. */
export interface Interference {
  /** Whether the engine's threads are kept from its files, so that all bytes pass through memory as those of S3 will. */
  readonly opaque?: boolean
  /** Bytes of a part: what a writer leaves unfinished is kept in whole parts only, as S3 will. */
  readonly partSize?: number
  readonly onOpen?: (name: string) => Promise<void> | void
  /** @param write number of the write to the object `name` by one writer, from 0 */
  readonly onWrite?: (name: string, write: number) => Promise<void> | void
  readonly onClose?: (name: string) => Promise<void> | void
  readonly onPut?: (name: string, signal: AbortSignal | undefined) => Promise<void> | void
  readonly onFinish?: (name: string) => Promise<void> | void
  readonly onCommit?: () => Promise<void> | void
  readonly onGet?: (key: ObjectKey, range: ByteRange | undefined) => Promise<void> | void
  readonly onList?: (listing: Listing) => Promise<Listing> | Listing
}

/** A store of files whose calls meet what a test has in mind. */
export class InterferedStore implements ObjectStore {
  readonly description: string
  readonly #store: FileStore
  readonly #interference: Interference

  constructor(root: string, interference: Interference) {
    this.#store = new FileStore(root)
    this.#interference = interference
    this.description = this.#store.description
  }

  async get(key: ObjectKey, range?: ByteRange): Promise<Readable> {
    await this.#interference.onGet?.(key, range)
    return await this.#store.get(key, range)
  }

  async list(prefix: string, options?: { readonly delimiter?: '/' }): Promise<Listing> {
    const listing = await this.#store.list(prefix, options)
    return (await this.#interference.onList?.(listing)) ?? listing
  }

  async upload(directory: string, id?: string): Promise<Upload> {
    return new InterferedUpload(await this.#store.upload(directory, id), this.#interference)
  }

  localPath(key: ObjectKey): string | undefined {
    return this.#interference.opaque ? undefined : this.#store.localPath(key)
  }

  repository(): Promise<Repository> {
    return this.#store.repository()
  }

  put(key: ObjectKey, body: Buffer | Readable, options?: PutOptions): Promise<number> {
    return this.#store.put(key, body, options)
  }

  head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    return this.#store.head(key)
  }

  delete(keys: readonly ObjectKey[]): Promise<void> {
    return this.#store.delete(keys)
  }

  abortUploads(prefix: string): Promise<void> {
    return this.#store.abortUploads(prefix)
  }

  probe(): Promise<void> {
    return this.#store.probe()
  }
}

class InterferedUpload implements Upload {
  readonly id: string
  readonly #upload: Upload
  readonly #interference: Interference

  constructor(upload: Upload, interference: Interference) {
    this.id = upload.id
    this.#upload = upload
    this.#interference = interference
  }

  async open(name: string, from: number, signal?: AbortSignal): Promise<ObjectWriter> {
    const { partSize = 1, onOpen } = this.#interference
    await onOpen?.(name)
    const writer = await this.#upload.open(name, from - (from % partSize), signal)
    return new InterferedWriter(name, writer, this.#interference)
  }

  async put(name: string, bytes: Uint8Array, crc?: number, signal?: AbortSignal): Promise<void> {
    await this.#interference.onPut?.(name, signal)
    await writeWhole(this, name, bytes, crc, signal)
  }

  localPath(name: string): string | undefined {
    return this.#interference.opaque ? undefined : this.#upload.localPath(name)
  }

  writeOut(): Promise<void> {
    return this.#upload.writeOut()
  }

  async commit(names: readonly string[]): Promise<void> {
    await this.#interference.onCommit?.()
    await this.#upload.commit(names)
  }
}

class InterferedWriter implements ObjectWriter {
  readonly #name: string
  readonly #writer: ObjectWriter
  readonly #interference: Interference
  #writes = 0
  #isFinished = false

  constructor(name: string, writer: ObjectWriter, interference: Interference) {
    this.#name = name
    this.#writer = writer
    this.#interference = interference
  }

  get kept(): number {
    const { partSize = 1 } = this.#interference
    return this.#isFinished ? this.#writer.kept : this.#writer.kept - (this.#writer.kept % partSize)
  }

  async write(bytes: Uint8Array, crc?: number): Promise<void> {
    await this.#interference.onWrite?.(this.#name, this.#writes)
    this.#writes += 1
    await this.#writer.write(bytes, crc)
  }

  async finish(): Promise<void> {
    await this.#interference.onFinish?.(this.#name)
    await this.#writer.finish()
    this.#isFinished = true
  }

  async close(): Promise<void> {
    await this.#writer.close()
    await this.#interference.onClose?.(this.#name)
  }
}
