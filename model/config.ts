import { parseAlias, type TabletAlias } from './alias.ts'
import { closest } from './closest.ts'
import { effectiveConfig } from './config-effective.ts'
import { applyOverrides, type ConfigOverride } from './config-overrides.ts'
import { invalidConfig, problemsOf } from './config-problems.ts'
import { configSchema, type MysqlService, type ParsedConfig } from './config-schema.ts'
import { type ConfigSource, readConfigSource } from './config-source.ts'
import type { StorageConfig } from './config-storage.ts'
import { type TemporalConfig, temporalSchema } from './config-temporal.ts'
import { valueAt } from './config-tree.ts'
import { TabletkeeperError } from './errors.ts'
import { parseShardName, type ShardName } from './shard-name.ts'
import type { ReplicaType } from './tablet-type.ts'
import type { Bytes, Milliseconds } from './units.ts'

/** Files that are copied at once: a number, or as many as the host has cores. */
export type Concurrency = number | 'cores'

/** What `tabletkeeper.yaml` says, with every default. The same for all hosts of a shard. */
export interface Config {
  readonly storage: StorageConfig
  readonly temporal: TemporalConfig
  readonly shards: ReadonlyMap<ShardName, ReadonlyMap<TabletAlias, TabletConfig>>
  readonly backup: {
    readonly concurrency: Concurrency
    /** Whether a backup is copied from a clone of the files, so that mysqld is down for seconds: where it can be, always, or never. */
    readonly snapshot: 'auto' | 'reflink' | 'none'
    /** Of zstd, 1 to 19. */
    readonly level: number
    /** Bytes of files that a backup reads in a second at most. */
    readonly maxRate: Bytes | 'none'
    /** How long client sessions get to leave before they are ended. */
    readonly drainTimeout: Milliseconds
    /** A tablet that lags more is not served from. */
    readonly maxLag: Milliseconds
    /** After this time a tablet gets its type back though it still lags; for as long a run waits for a primary to replicate from. */
    readonly catchUpTimeout: Milliseconds
    /** Whether the primary of a shard of which no other tablet could be backed up may be stopped for a backup. */
    readonly allowPrimary: boolean
    /** How many other tablets of the shard must serve while one is backed up; the primary counts. */
    readonly minServing: number
  }
  readonly restore: { readonly concurrency: Concurrency }
  readonly agent: {
    /** Of the health endpoint. */
    readonly listen: { readonly host: string; readonly port: number }
    /** Whether an empty tablet is restored when its agent starts. */
    readonly restoreFromBackup: boolean
    /** A tablet that is held, but that nothing worked on for this long, is returned to service. */
    readonly deadManTimeout: Milliseconds
    /** Which data a restore may replace on this host: those that the primary has too, none, or any. */
    readonly replaceData: 'redundant' | 'never' | 'always'
  }
}

export interface TabletConfig {
  readonly alias: TabletAlias
  readonly shard: ShardName
  readonly host: string
  readonly port: number
  /** undefined: not said. */
  readonly type: ReplicaType | undefined
  readonly mysql: MysqlConfig
}

export interface MysqlConfig {
  /** The my.cnf that mysqld is started with. */
  readonly defaultsFile: string
  /** The program: a name to look for, or an absolute path. */
  readonly mysqld: string
  readonly service: MysqlService
  /** Who administers over the unix socket; without a password file by `auth_socket`. */
  readonly admin: { readonly user: string; readonly passwordFile?: string }
  /** Who replicates. */
  readonly replication: { readonly user: string; readonly passwordFile: string }
}

/**
 * Reads a configuration.
 * @param name of the file, for messages
 * @throws InvalidConfig, all mistakes at once: a line for each, with its place, its key, its value and what is allowed
 */
export function parseConfig(yaml: string, name: string, overrides: readonly ConfigOverride[] = []): Config {
  return resolveConfig(applyOverrides(readConfigSource(yaml, name), overrides))
}

/**
 * Validates a configuration that was read already.
 * @throws InvalidConfig as `parseConfig` does
 */
export function resolveConfig(source: ConfigSource): Config {
  const effective = effectiveConfig(source)
  const parsed = configSchema.safeParse(effective.value)
  const problems = [...effective.problems, ...problemsOf(parsed.error?.issues ?? [], effective, source)]
  if (!parsed.success || problems.length > 0) throw invalidConfig(problems, source)
  const { storage, temporal, shards, backup, restore, agent } = parsed.data
  return {
    storage,
    temporal,
    shards: new Map(Object.entries(shards).map(([name, tablets]) => shardOf(name, tablets))),
    backup,
    restore,
    agent,
  }
}

/**
 * What a configuration says of Temporal, whatever may be wrong in the rest of it.
 * @throws InvalidConfig
 */
export function resolveTemporal(source: ConfigSource): TemporalConfig {
  const effective = effectiveConfig(source)
  const parsed = temporalSchema.safeParse(valueAt(effective.value, ['temporal']))
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) => ({ ...issue, path: ['temporal', ...issue.path] }))
  throw invalidConfig(problemsOf(issues, effective, source), source)
}

type ParsedShard = ParsedConfig['shards'][string]

function shardOf(name: string, tablets: ParsedShard): readonly [ShardName, ReadonlyMap<TabletAlias, TabletConfig>] {
  const shard = parseShardName(name)
  return [
    shard,
    new Map(
      Object.entries(tablets).map(([key, tablet]) => [parseAlias(key), tabletOf(shard, parseAlias(key), tablet)]),
    ),
  ]
}

function tabletOf(
  shard: ShardName,
  alias: TabletAlias,
  { host, port, type, mysql }: ParsedShard[string],
): TabletConfig {
  const types = { replica: 'REPLICA', rdonly: 'RDONLY' } as const
  return { alias, shard, host, port, type: type && types[type], mysql }
}

/** @throws NotFound naming tablets with similar aliases */
export function findTablet(config: Config, alias: TabletAlias): TabletConfig {
  const tablets = [...config.shards.values()].flatMap((shard) => [...shard.values()])
  const tablet = tablets.find((one) => one.alias === alias)
  if (tablet !== undefined) return tablet
  const known = tablets.map((one) => one.alias)
  const near = closest(alias, known).slice(0, 3)
  throw new TabletkeeperError('NotFound', `${alias} is no tablet of the configuration`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.join(', ')}?`
        : `It has ${known.slice(0, 5).join(', ') || 'no tablets'}: see shards.`,
  })
}
