import { resolveConfig } from './config.ts'
import { effectiveConfig } from './config-effective.ts'
import type { ConfigSource } from './config-source.ts'
import { leavesOf } from './config-tree.ts'

/** One value that is in force, and who says so. */
export interface ConfigSetting {
  /** `backup.maxLag`, `shards.commerce/0.zone1-0000000101.host` */
  readonly key: string
  /** As a file would say it; null where nothing is the choice (no `service`). Never a secret: those are in files, whose paths are shown. */
  readonly value: string | number | boolean | null
  /** `default`, `tabletkeeper.yaml:12` or the flag. */
  readonly origin: string
}

/**
 * Every setting in force. What is said for all tablets under `mysql` is shown for each of them.
 * @throws InvalidConfig as `parseConfig` does: what is not valid is not shown, lest it be a secret at a wrong place
 */
export function explainConfig(source: ConfigSource): ConfigSetting[] {
  resolveConfig(source)
  const effective = effectiveConfig(source)
  return leavesOf(effective.value)
    .filter(([path]) => path[0] !== 'mysql')
    .map(([path, value]) => {
      const said = effective.sourceOf(path)
      return { key: path.join('.'), value: scalar(value), origin: (said && source.originOf(said)) ?? 'default' }
    })
}

function scalar(value: unknown): string | number | boolean | null {
  if (Array.isArray(value) && value.length > 0) return value.join(', ')
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}
