import { readFile } from 'node:fs/promises'
import { type Config, resolveConfig, resolveTemporal } from '../model/config.ts'
import { applyOverrides, type ConfigOverride } from '../model/config-overrides.ts'
import { type ConfigSource, readConfigSource } from '../model/config-source.ts'
import type { TemporalConfig } from '../model/config-temporal.ts'
import { messageOf, TabletkeeperError } from '../model/errors.ts'

export interface ConfigurationOptions {
  /** The file; default: `TABLETKEEPER_CONFIG`, else `./tabletkeeper.yaml`, else `/etc/tabletkeeper/tabletkeeper.yaml`. */
  readonly path?: string | undefined
  /** What flags say; they win over the file. */
  readonly overrides?: readonly ConfigOverride[]
}

const DEFAULT_PATHS = ['tabletkeeper.yaml', '/etc/tabletkeeper/tabletkeeper.yaml']

/**
 * Reads `tabletkeeper.yaml`.
 * @throws InvalidConfig when there is none, or naming each mistake in it with its line
 */
export async function loadConfiguration(options: ConfigurationOptions = {}): Promise<Config> {
  return resolveConfig(await readConfiguration(options))
}

/**
 * Reads `tabletkeeper.yaml` as it is written, not validated but for being YAML.
 * @throws InvalidConfig
 */
export async function readConfiguration({ path, overrides = [] }: ConfigurationOptions = {}): Promise<ConfigSource> {
  const found = await readFirst(path)
  if (found !== undefined) return applyOverrides(readConfigSource(found.text, found.name), overrides)
  throw new TabletkeeperError('InvalidConfig', `there is no configuration: looked for ${DEFAULT_PATHS.join(' and ')}`, {
    hint: 'Name it with --config or TABLETKEEPER_CONFIG. To try things out on this machine: tabletkeeper dev',
  })
}

/**
 * What the configuration says of Temporal, for commands that need nothing else of it: where there is none, nothing is encrypted.
 * @throws InvalidConfig when the one that is named is missing, or is wrong in this
 */
export async function loadTemporalConfig({ path }: Pick<ConfigurationOptions, 'path'>): Promise<TemporalConfig> {
  const found = await readFirst(path)
  return resolveTemporal(readConfigSource(found?.text ?? '', found?.name ?? 'tabletkeeper.yaml'))
}

async function readFirst(
  path: string | undefined,
): Promise<{ readonly name: string; readonly text: string } | undefined> {
  const named = path ?? (process.env['TABLETKEEPER_CONFIG'] || undefined)
  const from = path === undefined ? 'TABLETKEEPER_CONFIG' : '--config'
  if (named !== undefined) {
    const text = await readText(named)
    if (text !== undefined) return { name: named, text }
    throw new TabletkeeperError('InvalidConfig', `there is no ${named} (named by ${from})`)
  }
  for (const name of DEFAULT_PATHS) {
    const text = await readText(name)
    if (text !== undefined) return { name, text }
  }
  return undefined
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new TabletkeeperError('InvalidConfig', `${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
