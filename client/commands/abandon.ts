import { TabletkeeperError } from '../../model/errors.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import type { CommandContext } from './command.ts'
import { connectKeeper } from './connect.ts'

export interface AbandonOptions {
  readonly hostLost?: boolean
}

/** `tabletkeeper abandon <workflow id> --host-lost`: ends a run that waits for a host which will not return. */
export async function abandon(
  context: CommandContext,
  workflowId: string,
  { hostLost }: AbandonOptions,
): Promise<number> {
  if (!hostLost) {
    throw new TabletkeeperError('InvalidInput', 'abandon gives a run up without putting its tablet back into service', {
      hint: `If its host is gone for good: tabletkeeper abandon ${workflowId} --host-lost. Else: tabletkeeper cancel ${workflowId}`,
    })
  }
  const { terminal, json } = context
  await using keeper = await connectKeeper(context)
  await keeper.handle(workflowId).abandon()
  terminal.data(json ? jsonDocument({ workflowId, outcome: 'abandoned' }) : `abandoned  ${workflowId}`)
  return EXIT.done
}
