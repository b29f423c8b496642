import { parseAlias } from './alias.ts'
import { DEFAULTS, TABLET_DEFAULTS } from './config-defaults.ts'
import type { ConfigSource } from './config-source.ts'
import { STORAGE_DEFAULTS } from './config-storage.ts'
import { type ConfigPath, isTree, merged, type Tree, valueAt } from './config-tree.ts'
import { parseShardName } from './shard-name.ts'

/** A part of the configuration that is wrong. */
export interface ConfigProblem {
  /** Where it is said, as in the source. */
  readonly path: ConfigPath
  /** Reads on after the key: `is missing`, `"10 sec" is not a duration`. */
  readonly message: string
  readonly hint?: string
}

/** A configuration with everything said: defaults, and for each tablet what it takes from `mysql`. Aliases are whole. */
export interface EffectiveConfig {
  readonly value: unknown
  /** Mistakes in names, which no schema sees. */
  readonly problems: readonly ConfigProblem[]
  /** Where the source says what is at `path`; undefined when it is a default, or missing. */
  sourceOf(path: ConfigPath): ConfigPath | undefined
  /** Where the source would have to say it. */
  ownPathOf(path: ConfigPath): ConfigPath
}

export function effectiveConfig(source: ConfigSource): EffectiveConfig {
  const written = source.value ?? {}
  if (!isTree(written)) {
    return { value: written, problems: [], sourceOf: () => undefined, ownPathOf: (path) => path }
  }
  const names = new TabletNames()
  const shards = isTree(written['shards'])
    ? effectiveShards(written['shards'], written['mysql'], names)
    : written['shards']
  const ownPathOf = (path: ConfigPath): ConfigPath => names.spelled(path)
  return {
    value: {
      ...written,
      ...effectiveStorage(written['storage']),
      mysql: written['mysql'] ?? {},
      shards: shards ?? {},
      ...Object.fromEntries(Object.entries(DEFAULTS).map(([key, section]) => [key, merged(section, written[key])])),
    },
    problems: [...names.problems, ...problemsOfAddresses(shards, ownPathOf)],
    sourceOf: (path) => [ownPathOf(path), inheritedPathOf(path)].find((at) => at && source.originOf(at) !== undefined),
    ownPathOf,
  }
}

/** Defaults depend on the kind. */
function effectiveStorage(storage: unknown): Tree {
  const kind = valueAt(storage, ['kind'])
  const defaults =
    typeof kind === 'string' && Object.hasOwn(STORAGE_DEFAULTS, kind) ? STORAGE_DEFAULTS[kind] : undefined
  return defaults === undefined ? {} : { storage: merged(defaults, storage) }
}

/** Where a setting of a tablet's mysqld is said for all tablets. */
export function inheritedPathOf(path: ConfigPath): ConfigPath | undefined {
  return path[0] === 'shards' && path[3] === 'mysql' ? path.slice(3) : undefined
}

function effectiveShards(shards: Tree, mysql: unknown, names: TabletNames): Tree {
  const inherited = merged(TABLET_DEFAULTS, isTree(mysql) ? { mysql } : {})
  const effective = Object.entries(shards).map(([shard, tablets]) => {
    names.checkShard(shard)
    if (!isTree(tablets)) return [shard, tablets ?? {}]
    const known = Object.entries(tablets).flatMap(([key, own]) => {
      const name = names.tablet(shard, key)
      return name === undefined ? [] : [[name, merged(inherited, own)]]
    })
    return [shard, Object.fromEntries(known)]
  })
  return Object.fromEntries(effective)
}

/** Whole aliases for the spellings of the source, and back. */
class TabletNames {
  readonly problems: ConfigProblem[] = []
  /** Where the source has them, by whole alias: a tablet is in one shard, once. */
  readonly #seen = new Map<string, ConfigPath>()

  checkShard(shard: string): void {
    if (isRefused(() => parseShardName(shard))) {
      const message = 'is not a keyspace and shard; write commerce/0 or commerce/-80'
      this.problems.push({ path: ['shards', shard], message })
    }
  }

  /** The whole alias of a tablet of the source; undefined for one that has been seen. */
  tablet(shard: string, key: string): string | undefined {
    const path = ['shards', shard, key]
    if (isRefused(() => parseAlias(key))) {
      this.problems.push({ path, message: 'is not a tablet alias; write zone1-101: a cell and a number' })
      return key
    }
    const alias = parseAlias(key)
    const first = this.#seen.get(alias)
    if (first !== undefined) {
      this.problems.push({ path, message: `is the same tablet as ${first.join('.')}` })
      return undefined
    }
    this.#seen.set(alias, path)
    return alias
  }

  spelled(path: ConfigPath): ConfigPath {
    const spelled = path[0] === 'shards' ? this.#seen.get(path[2] ?? '') : undefined
    return spelled === undefined ? path : [...spelled, ...path.slice(3)]
  }
}

function isRefused(read: () => unknown): boolean {
  try {
    read()
    return false
  } catch {
    return true
  }
}

/** Two tablets at one address would be one mysqld under two names: a backup of one would stop the other. */
function problemsOfAddresses(shards: unknown, ownPathOf: (path: ConfigPath) => ConfigPath): ConfigProblem[] {
  const seen = new Map<string, ConfigPath>()
  const problems: ConfigProblem[] = []
  for (const [shard, tablets] of Object.entries(isTree(shards) ? shards : {})) {
    for (const [alias, tablet] of Object.entries(isTree(tablets) ? tablets : {})) {
      const [host, port] = [valueAt(tablet, ['host']), valueAt(tablet, ['port'])]
      if (typeof host !== 'string') continue
      const path = ownPathOf(['shards', shard, alias])
      const first = seen.get(`${host}:${port}`)
      if (first === undefined) seen.set(`${host}:${port}`, path)
      else problems.push({ path, message: `has the same host and port as ${first.join('.')}` })
    }
  }
  return problems
}
