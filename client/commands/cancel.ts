import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderOutcome } from '../output/outcome.ts'
import { type AnyResult, RunFailed } from '../tabletkeeper.ts'
import { watchToEnd } from '../watch.ts'
import type { CommandContext } from './command.ts'
import { connectKeeper } from './connect.ts'

export interface CancelOptions {
  readonly detach?: boolean
}

/** `tabletkeeper cancel <workflow id>`: asks the run to stop and waits until it has put its tablet back into service, or is done after all. */
export async function cancel(context: CommandContext, workflowId: string, { detach }: CancelOptions): Promise<number> {
  const { terminal, json } = context
  await using keeper = await connectKeeper(context)
  const run = keeper.handle(workflowId)
  const { kind, runId } = await run.status()
  await run.cancel()
  const document = { kind, workflowId, runId }
  if (detach) {
    terminal.data(json ? jsonDocument({ ...document, outcome: 'cancelling' }) : `cancelling  ${workflowId}`)
    return EXIT.done
  }
  if (kind !== 'verifyBackup') terminal.note('cancel requested: the tablet is put back into service first.')
  try {
    const result = await watchToEnd(terminal, keeper.handle<AnyResult>(workflowId, runId))
    if (result === undefined) {
      if (json) terminal.data(jsonDocument({ ...document, outcome: 'cancelling' }))
      return EXIT.interrupted
    }
    terminal.note('too late to cancel: it went on to its end.')
    terminal.data(
      json ? jsonDocument({ ...document, outcome: 'completed', result }) : renderOutcome(result, terminal.paint),
    )
    return EXIT.done
  } catch (error) {
    if (!(error instanceof RunFailed) || error.type !== 'Cancelled') throw error
    terminal.data(json ? jsonDocument({ ...document, outcome: 'cancelled' }) : `cancelled  ${workflowId}`)
    return EXIT.done
  }
}
