import { runControl } from '../../workers/control.ts'
import { createLog } from '../../workers/telemetry.ts'
import { loadConfiguration } from '../configuration.ts'
import { EXIT } from '../output/failure.ts'
import { stopSignal } from '../stop-signal.ts'
import type { CommandContext } from './command.ts'

/** `tabletkeeper control`: runs workflows until it is told to stop. */
export async function control({ configPath }: CommandContext): Promise<number> {
  const config = await loadConfiguration({ path: configPath })
  await runControl({ config, signal: stopSignal(), log: createLog('control') })
  return EXIT.done
}
