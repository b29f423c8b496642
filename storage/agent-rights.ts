import type { TabletAlias } from '../model/alias.ts'
import { isError } from '../model/errors.ts'
import type { ShardName } from '../model/shard-name.ts'
import { type Right, rightTo } from './capabilities.ts'
import type { ObjectStore } from './object-store.ts'

/** What an agent may do beyond what it needs, which is to create and read below its shard. Plain values: it travels through Temporal. */
export interface AgentRights {
  /** To remove what its shard has stored. */
  readonly removal: Right
  /** Where it has no business; `reading` is unknown while there is nothing of another shard. */
  readonly elsewhere: { readonly creation: Right; readonly reading: Right; readonly removal: Right }
}

/** Whose rights they are. */
export interface RightsHolder {
  readonly shard: ShardName
  readonly tablet: TabletAlias
}

/** A store that tells what its credentials may do. A file system does not: who may create there may remove. */
export interface TellsRights {
  /** @returns undefined where there is nothing to try it on */
  agentRights(holder: RightsHolder): Promise<AgentRights | undefined>
}

/** How a store is asked. Keys are the store's own: parts of them start with a dot. */
export interface RightsQuestions {
  /** Stores a small object, reads it and finds it in a listing. @throws StorageDenied and its like */
  proveRoundTrip(key: string): Promise<void>
  /** Stores nothing. */
  rightToCreate(key: string): Promise<Right>
  /** An object that is there is gone when it is allowed. */
  remove(key: string): Promise<void>
}

/** In no shard: nothing is ever stored there. */
const ELSEWHERE = '.elsewhere/0/0'

/** Other shards that are looked into for an object. */
const SEARCHED = 5

/**
 * Has an agent create and read below its shard, and asks what else it may do. One reused object is left where it may not be removed.
 * @returns undefined for a store that does not tell, and while the repository is new
 * @throws StorageDenied when the agent lacks what it needs, and what else a store throws
 */
export async function agentRightsOf(store: ObjectStore, holder: RightsHolder): Promise<AgentRights | undefined> {
  if (!tellsRights(store) || (await store.repository()).state === 'new') return undefined
  return await store.agentRights(holder)
}

/** The same for stores to implement themselves with. */
export async function askRights(
  store: ObjectStore,
  { shard, tablet }: RightsHolder,
  questions: RightsQuestions,
): Promise<AgentRights> {
  // Of this agent alone: others of the shard are perhaps asked at the same moment.
  const probe = `${shard}/.tabletkeeper-probe-${tablet}`
  await questions.proveRoundTrip(probe)
  return {
    removal: await rightTo(() => questions.remove(probe)),
    elsewhere: {
      creation: await questions.rightToCreate(ELSEWHERE),
      reading: await rightToRead(store, shard),
      removal: await rightTo(() => questions.remove(ELSEWHERE)),
    },
  }
}

/** Of an object of another shard: whether one that is not there may be read, stores answer differently. */
async function rightToRead(store: ObjectStore, own: ShardName): Promise<Right> {
  const key = await objectOfAnother(store, own).catch((error: unknown) => {
    // Who may not list cannot be told what to read.
    if (isError(error, 'StorageDenied', 'InvalidConfig')) return undefined
    throw error
  })
  return key === undefined ? 'unknown' : await rightTo(() => store.head(key))
}

async function objectOfAnother(store: ObjectStore, own: ShardName): Promise<string | undefined> {
  let searched = 0
  for (const keyspace of await below(store, '')) {
    for (const shard of await below(store, keyspace)) {
      if (shard === `${own}/`) continue
      const backup = (await below(store, shard)).at(-1)
      const { objects } = backup === undefined ? { objects: [] } : await store.list(backup, { delimiter: '/' })
      if (objects[0] !== undefined) return objects[0].key
      if (++searched === SEARCHED) return undefined
    }
  }
  return undefined
}

async function below(store: ObjectStore, prefix: string): Promise<readonly string[]> {
  return (await store.list(prefix, { delimiter: '/' })).prefixes
}

function tellsRights(store: ObjectStore): store is ObjectStore & TellsRights {
  return 'agentRights' in store && typeof store.agentRights === 'function'
}
