import { runControl } from '../../workers/control.ts'
import { endInTime } from '../../workers/end-in-time.ts'
import { createLog } from '../../workers/telemetry.ts'
import { loadConfiguration } from '../configuration.ts'
import { EXIT } from '../output/failure.ts'
import { stopSignal } from '../stop-signal.ts'
import type { CommandContext } from './command.ts'

/** `tabletkeeper control`: runs workflows until it is told to stop. */
export async function control({ configPath }: CommandContext): Promise<number> {
  const config = await loadConfiguration({ path: configPath })
  const log = createLog('control')
  const signal = stopSignal()
  await endInTime(signal, log, () => runControl({ config, signal, log }))
  return EXIT.done
}
