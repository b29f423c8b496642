import { parseAlias } from '../../model/alias.ts'
import { type Config, findTablet, type TabletConfig } from '../../model/config.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { parseShardName, type ShardName } from '../../model/shard-name.ts'
import { loadConfiguration } from '../configuration.ts'
import type { Terminal } from '../output/terminal.ts'

/** What every command is given. A command resolves to the exit status. */
export interface CommandContext {
  readonly terminal: Terminal
  /** `--config` */
  readonly configPath: string | undefined
  /** `--json`: one document on stdout instead of lines. */
  readonly json: boolean
}

/**
 * The tablet that an alias of the command line means.
 * @throws InvalidInput, InvalidConfig, NotFound
 */
export async function tabletNamed(
  context: CommandContext,
  alias: string,
): Promise<{ readonly config: Config; readonly tablet: TabletConfig }> {
  const parsed = parseAlias(alias)
  const config = await loadConfiguration({ path: context.configPath })
  return { config, tablet: findTablet(config, parsed) }
}

/** A shard of the configuration. */
export interface ShardNamed {
  readonly config: Config
  readonly shard: ShardName
  readonly tablets: readonly TabletConfig[]
}

/**
 * A shard of the configuration and its tablets.
 * @throws InvalidInput, InvalidConfig, NotFound
 */
export async function shardNamed(context: CommandContext, text: string): Promise<ShardNamed> {
  const shard = parseShardName(text)
  const config = await loadConfiguration({ path: context.configPath })
  const tablets = config.shards.get(shard)
  if (tablets !== undefined) return { config, shard, tablets: [...tablets.values()] }
  throw new TabletkeeperError('NotFound', `${shard} is no shard of the configuration`, {
    hint: `It has ${[...config.shards.keys()].join(', ') || 'no shards'}.`,
  })
}
