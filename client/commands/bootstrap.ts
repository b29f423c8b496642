import { parseReplicaType } from '../vitess-flags.ts'
import { announceDetached, watchRun } from '../watch.ts'
import { type CommandContext, tabletNamed } from './command.ts'
import { connectKeeper } from './connect.ts'

export interface BootstrapOptions {
  readonly type?: string
  readonly concurrency?: number
  readonly agentTimeout?: string
  readonly detach?: boolean
}

/** `tabletkeeper bootstrap <alias> [--type replica|rdonly]` */
export async function bootstrap(context: CommandContext, alias: string, options: BootstrapOptions): Promise<number> {
  const { terminal } = context
  const { concurrency, agentTimeout, detach } = options
  const type = parseReplicaType(options.type)
  const { tablet } = await tabletNamed(context, alias)
  await using keeper = await connectKeeper(context)
  const run = await keeper.bootstrap({
    shard: tablet.shard,
    tablet: tablet.alias,
    ...(type === undefined ? {} : { type }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(agentTimeout === undefined ? {} : { agentTimeout }),
  })
  if (detach) return announceDetached(context, 'bootstrap', run)
  terminal.note(terminal.notePaint.strong(`${tablet.shard}: ${tablet.alias} (${tablet.host}) joins`))
  return await watchRun(context, 'bootstrap', run)
}
