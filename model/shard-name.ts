import { TabletkeeperError } from './errors.ts'

/** `<keyspace>/<shard>`, such as `commerce/0` or `commerce/-80`: also the directory of its backups. */
export type ShardName = string & { readonly __brand: 'ShardName' }

/** 65 characters hold the longest key range: two bounds of 16 bytes in hex, and the dash. */
const SHARD = /^[A-Za-z0-9_-]{1,64}\/[A-Za-z0-9_-]{1,65}$/

/**
 * Reads `keyspace/shard`. Neither part can leave its directory: no dots, no slashes.
 * @throws InvalidInput
 */
export function parseShardName(text: string): ShardName {
  if (!SHARD.test(text)) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(text)} is not a keyspace/shard`, {
      hint: 'Write it as commerce/0 or commerce/-80.',
    })
  }
  return text as ShardName
}

/** Keyspace and shard of a name. */
export function partsOf(shard: ShardName): { readonly keyspace: string; readonly shard: string } {
  const slash = shard.indexOf('/')
  return { keyspace: shard.slice(0, slash), shard: shard.slice(slash + 1) }
}
