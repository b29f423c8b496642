import { isError, TabletkeeperError } from '../model/errors.ts'
import { finalNameOf, temporaryNameOf } from './file-names.ts'
import { forAll } from './for-all.ts'
import type { GcsConnection } from './gcs-connection.ts'
import { type GcsListing, listObjects } from './gcs-listing.ts'
import { storedByOthers } from './gcs-object.ts'
import { readRecord, recordKey, removeRecord, writeRecord } from './gcs-record.ts'
import { MOST_REWRITTEN, Rewriting } from './gcs-rewriting.ts'
import { GcsSession } from './gcs-session.ts'
import { type Begun, GcsWriter, type Writing } from './gcs-writer.ts'
import { assertKey } from './object-key.ts'
import type { Upload } from './object-store.ts'
import type { PartMemory } from './part-memory.ts'

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

  async open(name: string, from: number): Promise<GcsWriter> {
    this.#assertName(name)
    const { gcs, memory, directory, id } = this.#place
    const record = recordKey(directory, name, id)
    let hasRecord = false
    const writing: Writing = {
      gcs,
      memory,
      object: { key: directory + name, writer: id, ifAbsent: true },
      onBegin: async (path) => {
        hasRecord = true
        await writeRecord(gcs, record, { path, rewritten: [] })
      },
      onWhole: async () => {
        if (hasRecord) await tolerant(() => removeRecord(gcs, record))
      },
    }
    const begun = from > 0 ? await this.#find(writing, record, from) : undefined
    hasRecord = begun !== undefined
    return new GcsWriter(writing, begun)
  }

  localPath(name: string): undefined {
    this.#assertName(name)
    return undefined
  }

  /** What is sent is written out; what is collected would not be kept by it. */
  async writeOut(): Promise<void> {}

  async commit(names: readonly string[]): Promise<void> {
    for (const name of names) this.#assertName(name)
    if (names.length === 0) return
    const { gcs, directory, id } = this.#place
    const there = await listObjects(gcs, directory, { delimiter: '/', hidden: true })
    for (const name of names) {
      const object = there.objects.get(directory + name)
      if (object !== undefined && object.writer !== id) throw storedByOthers(gcs, directory + name)
    }
    const lost = names.find((name) => !there.objects.has(directory + name))
    if (lost !== undefined) {
      throw new TabletkeeperError(
        'StorageUnavailable',
        `${gcs.description} has lost what was written for ${directory}${lost}`,
        {
          // Nothing stores again what is done: another attempt would find it missing as well.
          retryable: false,
          hint: 'Somebody removed it, or it was never finished: look, then start the run again.',
        },
      )
    }
    const leftovers = names.map((name) => directory + temporaryNameOf(name, id))
    await tolerant(() => dropRecords(gcs, there, (key) => leftovers.includes(key)))
  }

  /** Where the resumable upload of an object can be gone on with, of which up to `from` bytes are to be kept. */
  async #find(writing: Writing, key: string, from: number): Promise<Begun | undefined> {
    const { gcs, object } = writing
    const record = await readRecord(gcs, key)
    const session = record && (await GcsSession.find(gcs, object, record.path))
    if (record === undefined || session === undefined) return undefined
    const length = Math.max(0, session.persisted - from)
    if (length > MOST_REWRITTEN) {
      await session.cancel()
      return undefined
    }
    const rewriting = new Rewriting({ start: from, length }, record.rewritten, (rewritten) =>
      tolerant(() => writeRecord(gcs, key, { path: record.path, rewritten: [...record.rewritten, rewritten] })),
    )
    return { session, rewriting }
  }

  #assertName(name: string): void {
    assertKey(this.#place.directory + name)
    if (name.includes('/')) {
      throw new TabletkeeperError('InvalidInput', `${name} is not a name in one directory`)
    }
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
