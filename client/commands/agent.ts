import { keepHeapSmall } from '../../engine/pool/heap-size.ts'
import { parseAlias } from '../../model/alias.ts'
import { endInTime } from '../../workers/end-in-time.ts'
import { createLog } from '../../workers/telemetry.ts'
import { loadConfiguration } from '../configuration.ts'
import { EXIT } from '../output/failure.ts'
import { stopSignal } from '../stop-signal.ts'
import { narrowToInitShard, parseReplicaType, type VitessFlags, vitessOverrides } from '../vitess-flags.ts'
import type { CommandContext } from './command.ts'

export interface AgentOptions extends VitessFlags {
  readonly tablet?: readonly string[]
}

/** `tabletkeeper agent`: looks after the tablets of this host until it is told to stop. */
export async function agent({ configPath }: CommandContext, options: AgentOptions): Promise<number> {
  keepHeapSmall()
  const initTabletType = parseReplicaType(options.initTabletType)
  const tablets = options.tablet?.map(parseAlias)
  const config = narrowToInitShard(
    await loadConfiguration({ path: configPath, overrides: vitessOverrides(options) }),
    options,
  )
  const { runAgent } = await import('../../workers/agent.ts')
  const log = createLog('agent')
  const signal = stopSignal()
  await endInTime(signal, log, () => runAgent({ config, tablets, initTabletType, signal, log }))
  return EXIT.done
}
