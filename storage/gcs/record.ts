import { buffer } from 'node:stream/consumers'
import { z } from 'zod'
import { temporaryNameOf } from '../file/names.ts'
import type { GcsConnection } from './connection.ts'
import { putObject, removeObject } from './object.ts'
import { readObject } from './reader.ts'
import type { Rewritten } from './rewriting.ts'

const recordSchema = z.object({
  /** The path of its session, with the query. */
  path: z.string().startsWith('/upload/'),
  rewritten: z.array(z.object({ start: z.int(), length: z.int(), crc: z.int() })),
})

/** What another process needs to go on with an object, or to drop it. */
export interface UploadRecord {
  readonly path: string
  readonly rewritten: readonly Rewritten[]
}

/**
 * The key of the small object beside `directory + name` that records its resumable upload, as long as that goes on: the bucket itself
 * lists no such uploads. It is named as the temporary files of a file store are, and as them it is in no listing.
 */
export function recordKey(directory: string, name: string, id: string): string {
  return directory + temporaryNameOf(name, id)
}

export async function writeRecord(gcs: GcsConnection, key: string, record: UploadRecord): Promise<void> {
  await putObject(gcs, Buffer.from(JSON.stringify(record)), { key, writer: '', ifAbsent: false })
}

/** @returns undefined where there is none, or something else under its name */
export async function readRecord(gcs: GcsConnection, key: string): Promise<UploadRecord | undefined> {
  const body = await readObject(gcs, key)
  if (body === undefined) return undefined
  const text = (await buffer(body)).toString('utf8')
  try {
    return recordSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

export async function removeRecord(gcs: GcsConnection, key: string): Promise<void> {
  await removeObject(gcs, key)
}
