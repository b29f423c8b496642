import { isError } from '../../model/errors.ts'
import type { PartMemory } from '../bucket/part-memory.ts'
import { finalNameOf, temporaryNameOf } from '../file/names.ts'
import { assertNameIn, writtenIsLost } from '../file/upload-names.ts'
import { forAll } from '../for-all.ts'
import type { Upload } from '../object-store.ts'
import type { GcsConnection } from './connection.ts'
import { type GcsListing, listObjects } from './listing.ts'
import { putObject, storedByOthers } from './object.ts'
import { readRecord, recordKey, removeRecord, writeRecord } from './record.ts'
import { MOST_REWRITTEN, Rewriting } from './rewriting.ts'
import { GcsSession } from './session.ts'
import { type Begun, GcsWriter, type Writing } from './writer.ts'

const AT_ONCE = 16

export interface GcsUploadPlace {
  readonly gcs: GcsConnection
  readonly memory: PartMemory
  /** Ends in `/`. */
  readonly directory: string
  readonly id: string
}

/**
 * Objects that are each visible as soon as they are finished. Larger ones are resumable uploads until then; a small object beside each
 * records it for other processes.
 */
export class GcsUpload implements Upload {
  readonly id: string
  readonly #place: GcsUploadPlace

  constructor(place: GcsUploadPlace) {
    this.id = place.id
    this.#place = place
  }

  async open(name: string, from: number, signal?: AbortSignal): Promise<GcsWriter> {
    assertNameIn(this.#place.directory, name)
    const { gcs, memory, directory, id } = this.#place
    const record = recordKey(directory, name, id)
    let hasRecord = false
    const writing: Writing = {
      gcs,
      memory,
      object: { key: directory + name, writer: id, ifAbsent: true },
      onBegin: async (path) => {
        // Left behind in a store that hung, it would end the session of its successor.
        signal?.throwIfAborted()
        hasRecord = true
        await this.#record(writing, record, path)
      },
      onWhole: async () => {
        if (hasRecord) await tolerant(() => removeRecord(gcs, record))
      },
    }
    const begun = from > 0 ? await this.#find(writing, record, from, signal) : undefined
    signal?.throwIfAborted()
    hasRecord = begun !== undefined
    return new GcsWriter(writing, begun)
  }

  async put(name: string, bytes: Uint8Array, _crc?: number, signal?: AbortSignal): Promise<void> {
    assertNameIn(this.#place.directory, name)
    signal?.throwIfAborted()
    const { gcs, directory, id } = this.#place
    await putObject(gcs, bytes, { key: directory + name, writer: id, ifAbsent: true, signal })
  }

  localPath(name: string): undefined {
    assertNameIn(this.#place.directory, name)
    return undefined
  }

  /** What is sent is written out; what is collected would not be kept by it. */
  async writeOut(): Promise<void> {}

  async commit(names: readonly string[]): Promise<void> {
    for (const name of names) assertNameIn(this.#place.directory, name)
    if (names.length === 0) return
    const { gcs, directory, id } = this.#place
    const there = await listObjects(gcs, directory, { delimiter: '/', hidden: true })
    for (const name of names) {
      const object = there.objects.get(directory + name)
      if (object !== undefined && object.writer !== id) throw storedByOthers(gcs, directory + name)
    }
    const lost = names.find((name) => !there.objects.has(directory + name))
    if (lost !== undefined) throw writtenIsLost(gcs.description, directory + lost)
    const leftovers = names.map((name) => directory + temporaryNameOf(name, id))
    await tolerant(() => dropRecords(gcs, there, (key) => leftovers.includes(key)))
  }

  /**
   * Records a session that has begun. Where nothing may be replaced the record of an earlier one stays: that one ends, so that its record
   * leads to nothing, and whoever comes next begins the object anew instead of going on with other bytes.
   * @throws StorageDenied when there is no record, and none may be made
   */
  async #record({ gcs, object }: Writing, key: string, path: string): Promise<void> {
    try {
      await writeRecord(gcs, key, { path, rewritten: [] })
    } catch (error) {
      const earlier = isError(error, 'StorageDenied') ? await readRecord(gcs, key) : undefined
      if (earlier === undefined) throw error
      // Its answer was lost, and it was sent again.
      if (earlier.path === path) return
      await (await GcsSession.find(gcs, object, earlier.path))?.cancel()
    }
  }

  /** Where the resumable upload of an object can be gone on with, of which up to `from` bytes are to be kept. */
  async #find(
    writing: Writing,
    key: string,
    from: number,
    signal: AbortSignal | undefined,
  ): Promise<Begun | undefined> {
    const { gcs, object } = writing
    const record = await readRecord(gcs, key)
    const session = record && (await GcsSession.find(gcs, object, record.path))
    if (record === undefined || session === undefined) return undefined
    const length = Math.max(0, session.persisted - from)
    if (length > MOST_REWRITTEN) {
      signal?.throwIfAborted()
      await session.cancel()
      return undefined
    }
    const rewriting = new Rewriting({ start: from, length }, record.rewritten, (rewritten) =>
      tolerant(() => writeRecord(gcs, key, { path: record.path, rewritten: [...record.rewritten, rewritten] })),
    )
    return { session, rewriting }
  }
}

/** Ends the resumable uploads that are recorded under the keys that `isMeant`, and removes the records. */
export async function dropRecords(
  gcs: GcsConnection,
  { objects }: GcsListing,
  isMeant: (key: string) => boolean,
): Promise<void> {
  const records = [...objects.keys()].filter((key) => isRecord(key) && isMeant(key))
  await forAll(records, AT_ONCE, async (key) => {
    const record = await readRecord(gcs, key)
    const object = { key: finalKeyOf(key), writer: '', ifAbsent: false }
    const session = record && (await GcsSession.find(gcs, object, record.path))
    await session?.cancel()
    await removeRecord(gcs, key)
  })
}

/** The key of the object that a record is of. */
export function finalKeyOf(key: string): string {
  const slash = key.lastIndexOf('/') + 1
  return key.slice(0, slash) + (finalNameOf(key.slice(slash)) ?? key.slice(slash))
}

function isRecord(key: string): boolean {
  return finalKeyOf(key) !== key
}

/**
 * Where nobody may remove or replace anything, leftovers stay: they are in no listing, and sessions end by themselves after a week.
 * @returns whether it was allowed
 */
async function tolerant(action: () => Promise<void>): Promise<boolean> {
  try {
    await action()
    return true
  } catch (error) {
    if (!isError(error, 'StorageDenied')) throw error
    return false
  }
}
