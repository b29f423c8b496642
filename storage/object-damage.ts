import { createReadStream } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isError, type TabletkeeperError } from '../model/errors.ts'
import { codeOf } from './file/errors.ts'
import type { ByteRange, ObjectKey, ObjectStore } from './object-store.ts'

/** By which a disk or its file system says that bytes of a file are lost. Node has no names for two of them. */
const LOST: ReadonlyMap<string, string> = new Map([
  ['EIO', 'EIO'],
  ['Unknown system error -117', 'EUCLEAN'],
  ['Unknown system error -74', 'EBADMSG'],
])

/** A mount that loses its server for a moment answers as a disk does that has lost bytes. */
const AGAIN_AFTER = 2_000

/** Whether `error`, by which reading failed, may come of an object that is damaged. */
export async function mayBeDamage(store: ObjectStore, error: unknown): Promise<boolean> {
  // A mount that goes away answers so too, but for everything.
  return isDamage(error) || (lostBy(error) !== undefined && (await answers(store)))
}

/**
 * What is wrong with an object whose reading failed with `error`; undefined when it is not the object that is.
 * @param range what could not be read; undefined: the whole object, which takes long where it is large
 */
export async function damageOf(
  store: ObjectStore,
  key: ObjectKey,
  error: unknown,
  range?: ByteRange,
): Promise<string | undefined> {
  if (isDamage(error)) return error.message
  const code = lostBy(error)
  if (code === undefined || !(await answers(store))) return undefined
  await delay(AGAIN_AFTER)
  return (await isStillLost(store, key, range)) && (await answers(store)) ? `${key} cannot be read: ${code}` : undefined
}

/** Whether the repository is there: then what cannot be read is of one object, not of the mount or the way to the store. */
export async function answers(store: ObjectStore): Promise<boolean> {
  try {
    return (await store.repository()).state === 'ready'
  } catch (error) {
    if (!isError(error)) throw error
    return false
  }
}

/** One that the store does not find was listed a moment ago. */
function isDamage(error: unknown): error is TabletkeeperError {
  return isError(error, 'CorruptBackup', 'NotFound')
}

async function isStillLost(store: ObjectStore, key: ObjectKey, range: ByteRange | undefined): Promise<boolean> {
  const path = store.localPath?.(key)
  try {
    const body = path === undefined ? await store.get(key, range) : createReadStream(path, range)
    for await (const _chunk of body);
    return false
  } catch (error) {
    return lostBy(error) !== undefined
  }
}

function lostBy(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return LOST.get(codeOf(error) ?? '') ?? lostBy(error.cause)
}
