import { isError } from '../model/errors.ts'
import type { ObjectStore } from './object-store.ts'

/** Whether the credentials may do something; `unknown` where the store answers neither. */
export type Right = 'allowed' | 'denied' | 'unknown'

/** What a store was seen to do, and what its credentials may do there. Plain values: it travels through Temporal. */
export interface Capabilities {
  /**
   * Whether a write that must not replace an object leaves one that is there: `enforced` by the store; `looked up` by us before the
   * write, so that of two at the same moment both go through; `ignored`.
   */
  readonly conditionalCreate: 'enforced' | 'looked up' | 'ignored'
  /** A part of the probe was read alone. */
  readonly rangedReads: boolean
  /** The probe was found in a listing. */
  readonly listing: boolean
  /** To remove objects at the root, where the probe is. A policy may say something else of what is below. */
  readonly removal: Right
  /** Of multipart uploads that nobody has finished; null where the store has none. */
  readonly unfinishedUploads: { readonly listing: Right; readonly removal: Right } | null
}

/** A store that tells what it can do. `ObjectStore` does not ask for it: a module of a user's own need not. */
export interface TellsCapabilities {
  /** As `probe`, and what was seen by the way; undefined when there was nothing to try it on. Nothing but the probe is left. */
  capabilities(): Promise<Capabilities | undefined>
}

/**
 * Proves that the store can be used, as `probe` does, and tells what it can do.
 * @returns undefined for a store that does not tell
 * @throws what `probe` throws
 */
export async function capabilitiesOf(store: ObjectStore): Promise<Capabilities | undefined> {
  if (tellsCapabilities(store)) return await store.capabilities()
  await store.probe()
  return undefined
}

/** The right to do what `action` does: it has to do no harm when it is allowed. */
export async function rightTo(action: () => Promise<unknown>): Promise<Right> {
  try {
    await action()
    return 'allowed'
  } catch (error) {
    if (!isError(error)) throw error
    return error.type === 'StorageDenied' ? 'denied' : 'unknown'
  }
}

/** Whether a write is refused because the object is there. */
export async function isRefused(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write()
    return false
  } catch (error) {
    if (isError(error, 'Refused')) return true
    throw error
  }
}

/** What can be relied on in all of several places; undefined when there is none. */
export function commonCapabilities(all: readonly Capabilities[]): Capabilities | undefined {
  return all.reduce<Capabilities | undefined>(
    (one, other) => (one === undefined ? other : common(one, other)),
    undefined,
  )
}

function common(one: Capabilities, other: Capabilities): Capabilities {
  const uploads = one.unfinishedUploads
  const others = other.unfinishedUploads
  return {
    conditionalCreate: weaker(['ignored', 'looked up', 'enforced'], one.conditionalCreate, other.conditionalCreate),
    rangedReads: one.rangedReads && other.rangedReads,
    listing: one.listing && other.listing,
    removal: weaker(RIGHTS, one.removal, other.removal),
    unfinishedUploads:
      uploads === null || others === null
        ? (uploads ?? others)
        : {
            listing: weaker(RIGHTS, uploads.listing, others.listing),
            removal: weaker(RIGHTS, uploads.removal, others.removal),
          },
  }
}

const RIGHTS: readonly Right[] = ['denied', 'unknown', 'allowed']

/** @param order the weakest first */
function weaker<T>(order: readonly T[], one: T, other: T): T {
  return order.indexOf(one) < order.indexOf(other) ? one : other
}

function tellsCapabilities(store: ObjectStore): store is ObjectStore & TellsCapabilities {
  return 'capabilities' in store && typeof store.capabilities === 'function'
}
