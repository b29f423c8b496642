import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { type AnyResult, RunFailed, Tabletkeeper } from '../tabletkeeper.ts'
import { watchRun } from '../watch.ts'
import type { CommandContext } from './command.ts'

export interface CancelOptions {
  readonly detach?: boolean
}

/** `tabletkeeper cancel <workflow id>`: asks the run to stop and waits until it has put its tablet back into service. */
export async function cancel(context: CommandContext, workflowId: string, { detach }: CancelOptions): Promise<number> {
  const { terminal, json } = context
  await using keeper = await Tabletkeeper.connect()
  const run = keeper.handle(workflowId)
  const { kind, runId } = await run.status()
  await run.cancel()
  if (detach) {
    terminal.data(json ? jsonDocument({ kind, workflowId, runId, outcome: 'cancelling' }) : `cancelling  ${workflowId}`)
    return EXIT.done
  }
  if (kind !== 'verifyBackup') terminal.note('cancel requested: the tablet is put back into service first.')
  try {
    return await watchRun(context, kind, keeper.handle<AnyResult>(workflowId, runId))
  } catch (error) {
    if (!(error instanceof RunFailed) || error.type !== 'Cancelled') throw error
    terminal.data(json ? jsonDocument({ kind, workflowId, runId, outcome: 'cancelled' }) : `cancelled  ${workflowId}`)
    return EXIT.done
  }
}
