import { loadTemporalConfig } from '../configuration.ts'
import { Tabletkeeper } from '../tabletkeeper.ts'
import type { CommandContext } from './command.ts'

/**
 * Connects to Temporal, with the keys that the configuration names; there need not be a configuration.
 * @throws TemporalUnavailable, InvalidConfig
 */
export async function connectKeeper({ configPath }: Pick<CommandContext, 'configPath'>): Promise<Tabletkeeper> {
  return await Tabletkeeper.connect(await loadTemporalConfig({ path: configPath }))
}
