import { parseAlias } from './alias.ts'
import type { ConfigSource } from './config-source.ts'
import { type ConfigPath, isTree, valueAt, withValueAt } from './config-tree.ts'

/** A value that something outside the file says, such as a flag. */
export interface ConfigOverride {
  /** `agent.restoreFromBackup`; for a tablet `shards.commerce/0.zone1-101.type`, its alias short or whole. */
  readonly key: string
  /** As the file would say it. Texts that YAML reads as a number or a boolean count as those: flags arrive as text. */
  readonly value: string | number | boolean
  /** Who says it: `--restore_from_backup`. */
  readonly origin: string
}

/** The configuration with overrides on top; later ones win. Not validated yet. */
export function applyOverrides(source: ConfigSource, overrides: readonly ConfigOverride[]): ConfigSource {
  return overrides.reduce(applyOverride, source)
}

function applyOverride(source: ConfigSource, override: ConfigOverride): ConfigSource {
  const path = spelledAsIn(source.value, override.key.split('.'))
  const covers = (other: ConfigPath): boolean => path.every((key, index) => other[index] === key)
  const value = withValueAt(source.value, path, typed(override.value))
  const reached = valueAt(value, path) !== undefined
  return {
    name: source.name,
    value,
    originOf: (other) => {
      if (reached && covers(other)) return override.origin
      const said = source.originOf(other)
      // A map that only the override made.
      return said ?? (isTree(valueAt(value, other)) ? override.origin : undefined)
    },
    textOf: (other) => (reached && covers(other) ? undefined : source.textOf(other)),
  }
}

function typed(value: string | number | boolean): string | number | boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
}

/** The same path with the tablet's alias as the file spells it, so that it stays one tablet. */
function spelledAsIn(value: unknown, path: ConfigPath): ConfigPath {
  const [section = '', shard = '', tablet, ...rest] = path
  if (section !== 'shards' || tablet === undefined) return path
  const tablets = valueAt(value, [section, shard])
  const spelled = isTree(tablets) ? Object.keys(tablets).find((key) => isSameAlias(key, tablet)) : undefined
  return [section, shard, spelled ?? tablet, ...rest]
}

function isSameAlias(one: string, other: string): boolean {
  try {
    return parseAlias(one) === parseAlias(other)
  } catch {
    return one === other
  }
}
