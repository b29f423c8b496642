import { stringify } from 'yaml'
import type { ShardName } from '../model/shard-name.ts'
import type { ReplicationAccount } from './replicate.ts'
import type { SampleTablet } from './sample-tablet.ts'

export interface ConfigOptions {
  readonly storageRoot: string
  /** Port of the agent's health endpoint on 127.0.0.1; default: the agent's own. */
  readonly listenPort?: number
}

interface ConfiguredShard {
  readonly shard: ShardName
  readonly tablets: readonly SampleTablet[]
  readonly replicationPasswordFile: string
  readonly account: ReplicationAccount
}

/** The text of a tabletkeeper.yaml in which this machine hosts every tablet of the shard. */
export function shardConfiguration(
  { shard, tablets, replicationPasswordFile, account }: ConfiguredShard,
  options: ConfigOptions,
): string {
  return stringify({
    storage: { kind: 'file', root: options.storageRoot },
    mysql: { replication: { user: account.user, passwordFile: replicationPasswordFile } },
    shards: {
      [shard]: Object.fromEntries(
        tablets.map(({ alias, port, mysqld, defaultsFile }) => [
          alias,
          { host: '127.0.0.1', port, mysql: { mysqld, defaultsFile } },
        ]),
      ),
    },
    ...(options.listenPort === undefined ? {} : { agent: { listen: `127.0.0.1:${options.listenPort}` } }),
  })
}
