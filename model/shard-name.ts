import { TabletkeeperError } from './errors.ts'

/** `<keyspace>/<shard>`, such as `commerce/0` or `commerce/-80`: also the directory of its backups. */
export type ShardName = string & { readonly __brand: 'ShardName' }

const SHARD = /^([A-Za-z0-9_][A-Za-z0-9_-]{0,63})\/([A-Za-z0-9][A-Za-z0-9_-]{0,63}|-|-?[0-9a-fA-F]{1,32}|[0-9a-fA-F]{1,32}-[0-9a-fA-F]{0,32}|-[0-9a-fA-F]{1,32})$/

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
