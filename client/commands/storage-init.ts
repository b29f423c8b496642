import type { Config } from '../../model/config.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { parseShardName, type ShardName } from '../../model/shard-name.ts'
import { initializeRepository } from '../../storage/initialize.ts'
import { openStore } from '../../storage/kinds.ts'
import { loadConfiguration } from '../configuration.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import type { CommandContext } from './command.ts'

/** `tabletkeeper storage init`: makes an empty storage a repository; one that is a repository already stays as it is. */
export async function storageInit({ terminal, json, configPath }: CommandContext): Promise<number> {
  const config = await loadConfiguration({ path: configPath })
  const store = await openStore(config.storage)
  const { outcome, id } = await initializeRepository(store, placeIn(config))
  if (json) {
    terminal.data(jsonDocument({ storage: store.description, outcome, id }))
    return EXIT.done
  }
  const known = id === null ? 'of Vitess, without an id until tabletkeeper writes to it' : id
  terminal.data(`${outcome}  ${store.description}  repository ${known}`)
  if (outcome === 'made' && config.storage.kind === 'file') {
    terminal.note('  If it is a mount: see that it was mounted. The directory below a missing mount is as empty.')
  }
  return EXIT.done
}

/** Where the repository begins; nothing is stored there. */
function placeIn({ shards, storage }: Config): ShardName {
  const [shard] = shards.keys()
  if (shard !== undefined) return shard
  if (storage.kind === 'ceph' && storage.bucketPerKeyspace) {
    throw new TabletkeeperError(
      'InvalidConfig',
      'no shard says in the bucket of which keyspace the repository begins',
      {
        hint: 'Add a shard to shards first: with storage.bucketPerKeyspace the bucket of its keyspace gets the marker.',
      },
    )
  }
  return parseShardName('tabletkeeper/0')
}
